// Writes a text with a character model, from a file or a run folder:
//
//     cc generate.c $(pkg-config --cflags --libs gatemill) -o generate && ./generate MODEL PRIME SYMBOLS SEED

#include <gatemill.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(GatemillStatus status) {
    if (status != GATEMILL_STATUS_OK) {
        fprintf(stderr, "gatemill: %s (status %d)\n", gatemill_last_error(), (int)status);
        exit((int)status);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: generate MODEL PRIME SYMBOLS SEED\n");
        return GATEMILL_STATUS_USAGE;
    }
    GatemillCrew crew;
    check(gatemill_crew_new(0, &crew));
    GatemillCharLm model;
    check(gatemill_char_lm_load(argv[1], crew, &model));

    GatemillTextOptions how = {.size = sizeof how,
                               .prime = argv[2],
                               .prime_len = strlen(argv[2]),
                               .length = strtoull(argv[3], NULL, 10),
                               .temperature = 0.8,
                               .seed = strtoull(argv[4], NULL, 10)};
    GatemillText text;
    check(gatemill_text_new(model, &how, &text));
    char buffer[64];
    size_t written;
    do {
        check(gatemill_text_next(text, 16, buffer, sizeof buffer, &written));
        fwrite(buffer, 1, written, stdout);
    } while (written > 0);

    check(gatemill_text_free(text));
    check(gatemill_char_lm_free(model));
    check(gatemill_crew_free(crew));
    return 0;
}
