/* The workload as an ordinary program: harness SETTINGS LINES DUMP [corrupt]
 *
 * Prints its lines, appends its memory to the file DUMP after each, and ends after
 * LINES of them. `corrupt` writes over the second page, once, as a lost write would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

static char *memory;
static struct settings set;
static FILE *dump;
static int lines, wanted, corrupt;

void platform_write(const char *line, size_t bytes)
{
    fwrite(line, 1, bytes, stdout);
    if (!memory)
        return;
    fwrite(memory, 1, set.ws_bytes + set.still_bytes, dump);
    if (++lines == wanted)
        exit(0);
    if (corrupt && lines == 4)
        memset(memory + PAGE_BYTES, 0x5a, PAGE_BYTES);
}

_Noreturn void platform_stop(void)
{
    exit(3);
}

int main(int argc, char **argv)
{
    uint64_t filled;
    char *room;

    wanted = atoi(argv[2]);
    dump = fopen(argv[3], "wb");
    corrupt = argc > 4;
    workload_configure(&set, argv[1]);
    filled = set.ws_bytes + set.still_bytes;
    room = aligned_alloc(PAGE_BYTES, filled + workload_count_bytes(&set));
    workload_announce("test", &set, room, room + set.ws_bytes, room + filled, 0);
    memory = room;
    workload_thread(0);
}
