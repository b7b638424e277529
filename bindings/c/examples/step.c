// Steps through a sequence, one input at a time, and beside it the whole sequence at once: the same bits. Then a fork: a
// copy of the state goes another way.
//
//     cc step.c $(pkg-config --cflags --libs gatemill) -o step && ./step

#include <gatemill.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 20, INPUTS = 3, HIDDEN = 64 };

static void check(GatemillStatus status) {
    if (status != GATEMILL_STATUS_OK) {
        fprintf(stderr, "gatemill: %s (status %d)\n", gatemill_last_error(), (int)status);
        exit((int)status);
    }
}

int main(void) {
    GatemillCrew crew;
    check(gatemill_crew_new(1, &crew));
    GatemillRecurrentOptions options = {
        .size = sizeof options, .cell = GATEMILL_CELL_GRU, .inputs = INPUTS, .hidden = HIDDEN, .layers = 2, .seed = 3};
    GatemillRecurrent stack;
    check(gatemill_recurrent_new(&options, &stack));
    GatemillTape tape;
    check(gatemill_tape_new(stack, 0, &tape));

    static float x[STEPS][INPUTS], y[STEPS][HIDDEN], again[STEPS][HIDDEN], h[2][HIDDEN], fork[2][HIDDEN];
    for (int t = 0; t < STEPS; ++t) {
        for (int i = 0; i < INPUTS; ++i) {
            x[t][i] = (float)((t * 7 + i * 3) % 11) / 11.0f - 0.5f;
        }
    }
    // A state is floats of the caller's: zeros here, [layers, lanes, H].
    GatemillStateMut state = {.h = &h[0][0], .h_len = 2 * HIDDEN};
    for (int t = 0; t < STEPS; ++t) {
        check(gatemill_step(stack, tape, x[t], INPUTS, state, y[t], HIDDEN));
        if (t == STEPS / 2) {
            memcpy(fork, h, sizeof fork);
        }
    }

    GatemillForward pass = {.size = sizeof pass,
                            .batch = {.steps = STEPS, .lanes = 1},
                            .x = {.data = &x[0][0], .len = STEPS * INPUTS},
                            .y = {.data = &again[0][0], .len = STEPS * HIDDEN}};
    check(gatemill_forward(stack, crew, tape, &pass));
    if (memcmp(y, again, sizeof y) != 0) {
        fprintf(stderr, "one step at a time has other bits than the sequence\n");
        return 1;
    }
    for (int t = 0; t < STEPS; ++t) {
        uint32_t bits;
        memcpy(&bits, &y[t][0], sizeof bits);
        printf("%08" PRIx32 "%c", bits, t + 1 < STEPS ? ' ' : '\n');
    }

    GatemillStateMut forked = {.h = &fork[0][0], .h_len = 2 * HIDDEN};
    float other[HIDDEN], zeros[INPUTS] = {0};
    check(gatemill_step(stack, tape, zeros, INPUTS, forked, other, HIDDEN));
    printf("the fork went another way: %s\n", memcmp(other, y[STEPS / 2 + 1], sizeof other) ? "yes" : "no");

    check(gatemill_tape_free(tape));
    check(gatemill_recurrent_free(stack));
    check(gatemill_crew_free(crew));
    return 0;
}
