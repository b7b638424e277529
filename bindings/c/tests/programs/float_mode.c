// A host that flushes denormals or rounds otherwise is told that the bits are not promised, and keeps its mode.

#include <gatemill.h>
#include <stdio.h>
#include <stdlib.h>
#include <xmmintrin.h>

#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #what, gatemill_last_error());             \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

int main(void) {
    GatemillFloatMode mode = {.size = sizeof mode};
    const unsigned plain = _mm_getcsr();
    EXPECT(gatemill_float_mode(&mode) == GATEMILL_STATUS_OK && mode.plain == 1 && mode.promise_holds == 1);
    // The sticky flags of exceptions are no part of the mode.
    _mm_setcsr(plain | 0x20);
    EXPECT(gatemill_float_mode(&mode) == GATEMILL_STATUS_OK && mode.plain == 1 && mode.promise_holds == 1);
    const unsigned others[] = {1u << 6, 1u << 15, 1u << 13, 3u << 13};
    for (int i = 0; i < 4; ++i) {
        _mm_setcsr(plain | others[i]);
        // Any entry sees it.
        EXPECT(gatemill_crew_free((GatemillCrew){0}) == GATEMILL_STATUS_OK);
        EXPECT(gatemill_float_mode(&mode) == GATEMILL_STATUS_OK && mode.plain == 0 && mode.promise_holds == 0);
        EXPECT(_mm_getcsr() == (plain | others[i]));
    }
    _mm_setcsr(plain);
    EXPECT(gatemill_float_mode(&mode) == GATEMILL_STATUS_OK && mode.plain == 1 && mode.promise_holds == 0);
    return 0;
}
