/* A line of text for the serial console. */
#ifndef MIGSTRESS_LINE_H
#define MIGSTRESS_LINE_H

#include "workload.h"

struct line {
    char text[LINE_BYTES];
    size_t used;
};

static inline void put(struct line *line, const char *text)
{
    while (*text && line->used < LINE_BYTES - 1)
        line->text[line->used++] = *text++;
}

static inline void put_number(struct line *line, const char *name, uint64_t value)
{
    char digits[21];
    int at = 20;

    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(line, name);
    put(line, digits + at);
}

static inline void send(struct line *line)
{
    line->text[line->used++] = '\n';
    platform_write(line->text, line->used);
}

#endif
