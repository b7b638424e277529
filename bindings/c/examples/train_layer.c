// Trains a layer with a linear readout on a toy task: the sum of the last three inputs. Gatemill runs the layer forward and
// backward; the readout and the update are the program's own, plain loops.
//
//     cc train_layer.c $(pkg-config --cflags --libs gatemill) -o train_layer && ./train_layer
//
// It prints the loss of some steps, and ends with the bits of the last one, which are the same on every machine.

#include <gatemill.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 12, LANES = 6, INPUTS = 1, HIDDEN = 16, TENSORS = 4, UPDATES = 200 };

static void check(GatemillStatus status) {
    if (status != GATEMILL_STATUS_OK) {
        fprintf(stderr, "gatemill: %s (status %d)\n", gatemill_last_error(), (int)status);
        exit((int)status);
    }
}

// A number in -1..1 for each n, from integers alone.
static float number(uint32_t n) {
    n = (n ^ 61u) ^ (n >> 16);
    n *= 9u;
    n ^= n >> 4;
    n *= 0x27d4eb2du;
    n ^= n >> 15;
    return (float)(n >> 8) / 8388608.0f - 1.0f;
}

int main(int argc, char **argv) {
    GatemillCrew crew;
    check(gatemill_crew_new(argc > 1 ? (size_t)atoi(argv[1]) : 0, &crew));
    GatemillRecurrentOptions options = {
        .size = sizeof options, .cell = GATEMILL_CELL_LSTM, .inputs = INPUTS, .hidden = HIDDEN, .seed = 7};
    GatemillRecurrent layer;
    check(gatemill_recurrent_new(&options, &layer));
    GatemillTape tape;
    check(gatemill_tape_new(layer, 1, &tape));
    GatemillGradients gradients;
    check(gatemill_gradients_new(layer, &gradients));
    GatemillForm form = {.size = sizeof form};
    check(gatemill_recurrent_form(layer, LANES, &form));

    // The weights are the program's own, and go to the layer after each update.
    GatemillTensorInfo infos[TENSORS];
    static float weights[TENSORS][4 * HIDDEN * HIDDEN], d_weights[TENSORS][4 * HIDDEN * HIDDEN];
    GatemillTensor weight_of[TENSORS];
    GatemillTensorMut gradient_of[TENSORS];
    for (size_t i = 0; i < form.tensors; ++i) {
        infos[i].size = sizeof infos[i];
        check(gatemill_recurrent_tensor(layer, i, &infos[i]));
        check(gatemill_recurrent_get(layer, infos[i].name, weights[i], infos[i].len));
        weight_of[i] = (GatemillTensor){.name = infos[i].name, .data = weights[i], .len = infos[i].len};
        gradient_of[i] = (GatemillTensorMut){.name = infos[i].name, .data = d_weights[i], .len = infos[i].len};
    }

    static float x[STEPS * LANES], y[STEPS * LANES * HIDDEN], d_y[STEPS * LANES * HIDDEN], readout[HIDDEN];
    for (uint32_t unit = 0; unit < HIDDEN; ++unit) {
        readout[unit] = 0.25f * number(unit);
    }
    float loss = 0.0f;
    for (int update = 0; update < UPDATES; ++update) {
        for (uint32_t n = 0; n < STEPS * LANES; ++n) {
            x[n] = number(1000u + n + (uint32_t)update * STEPS * LANES);
        }
        GatemillForward forward = {.size = sizeof forward,
                                   .batch = {.steps = STEPS, .lanes = LANES},
                                   .x = {.data = x, .len = STEPS * LANES * INPUTS},
                                   .y = {.data = y, .len = STEPS * LANES * HIDDEN}};
        check(gatemill_forward(layer, crew, tape, &forward));

        // loss = mean of (readout . y_t - (x_t + x_{t-1} + x_{t-2}))^2
        float d_readout[HIDDEN] = {0};
        loss = 0.0f;
        for (int t = 0; t < STEPS; ++t) {
            for (int lane = 0; lane < LANES; ++lane) {
                const int token = t * LANES + lane;
                float error = 0.0f;
                for (int back = 0; back < 3 && back <= t; ++back) {
                    error -= x[token - back * LANES];
                }
                for (int unit = 0; unit < HIDDEN; ++unit) {
                    error += readout[unit] * y[token * HIDDEN + unit];
                }
                loss += error * error / (STEPS * LANES);
                const float d_error = 2.0f * error / (STEPS * LANES);
                for (int unit = 0; unit < HIDDEN; ++unit) {
                    d_readout[unit] += d_error * y[token * HIDDEN + unit];
                    d_y[token * HIDDEN + unit] = d_error * readout[unit];
                }
            }
        }
        GatemillBackward backward = {.size = sizeof backward,
                                     .d_y = {.data = d_y, .len = STEPS * LANES * HIDDEN}};
        check(gatemill_backward(layer, crew, tape, gradients, &backward));

        // Every weight goes down its gradient.
        check(gatemill_gradients_get_all(gradients, crew, gradient_of, form.tensors));
        for (size_t i = 0; i < form.tensors; ++i) {
            for (size_t e = 0; e < infos[i].len; ++e) {
                weights[i][e] -= 0.3f * d_weights[i][e];
            }
        }
        check(gatemill_recurrent_set_all(layer, crew, weight_of, form.tensors));
        for (int unit = 0; unit < HIDDEN; ++unit) {
            readout[unit] -= 0.3f * d_readout[unit];
        }
        if (update % 50 == 0) {
            printf("update %3d: loss %.4f\n", update, (double)loss);
        }
    }
    uint32_t bits;
    memcpy(&bits, &loss, sizeof bits);
    printf("after %d updates: loss %.4f, bits %08" PRIx32 "\n", UPDATES, (double)loss, bits);

    check(gatemill_gradients_free(gradients));
    check(gatemill_tape_free(tape));
    check(gatemill_recurrent_free(layer));
    check(gatemill_crew_free(crew));
    return 0;
}
