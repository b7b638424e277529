// A child of fork() has no workers of its parent's crew: it is told so, and a crew of its own serves it.

#include <gatemill.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #what, gatemill_last_error());             \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

int main(void) {
    GatemillCrew crew;
    GatemillRecurrent layer;
    GatemillTape tape;
    GatemillRecurrentOptions options = {.size = sizeof options, .cell = GATEMILL_CELL_RNN, .inputs = 2, .hidden = 3};
    EXPECT(gatemill_crew_new(2, &crew) == GATEMILL_STATUS_OK);
    EXPECT(gatemill_recurrent_new(&options, &layer) == GATEMILL_STATUS_OK);
    EXPECT(gatemill_tape_new(layer, 0, &tape) == GATEMILL_STATUS_OK);
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[12];
    GatemillForward pass = {.size = sizeof pass,
                            .batch = {.steps = 2, .lanes = 2},
                            .x = {.data = x, .len = 8},
                            .y = {.data = y, .len = 12}};
    EXPECT(gatemill_forward(layer, crew, tape, &pass) == GATEMILL_STATUS_OK);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        EXPECT(gatemill_forward(layer, crew, tape, &pass) == GATEMILL_STATUS_FORKED);
        EXPECT(gatemill_crew_new(2, &crew) == GATEMILL_STATUS_OK);
        EXPECT(gatemill_forward(layer, crew, tape, &pass) == GATEMILL_STATUS_OK);
        _exit(0);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT(gatemill_forward(layer, crew, tape, &pass) == GATEMILL_STATUS_OK);
    EXPECT(gatemill_tape_free(tape) == GATEMILL_STATUS_OK);
    EXPECT(gatemill_recurrent_free(layer) == GATEMILL_STATUS_OK);
    EXPECT(gatemill_crew_free(crew) == GATEMILL_STATUS_OK);
    return 0;
}
