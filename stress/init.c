/* The Linux guest: the workload as the only process, started by the kernel as init. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <termios.h>
#include <unistd.h>

#include "workload.h"

enum { HUGE_BYTES = 2 << 20, RESERVE_BYTES = 16 << 20, ARGUMENT_BYTES = 1024 };

static int console;

/* One write a line: the terminal keeps it whole. */
void platform_write(const char *line, size_t bytes)
{
    while (bytes) {
        ssize_t written = write(console, line, bytes);

        if (written < 0)
            return;
        line += written;
        bytes -= (size_t)written;
    }
}

_Noreturn void platform_stop(void)
{
    for (;;)
        pause();
}

static void open_console(void)
{
    struct termios raw;

    console = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    if (console < 0)
        console = STDOUT_FILENO;
    if (tcgetattr(console, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(console, TCSANOW, &raw);
    }
}

/* Settings are the words that the kernel hands on from behind its `--`; those without
 * a value are its own, which it hands on as well when it does not know them. */
static void join(char *text, char **words)
{
    char *end = text + ARGUMENT_BYTES - 2;

    for (; *words; words++) {
        if (!strchr(*words, '='))
            continue;
        for (const char *at = *words; *at; at++)
            if (text < end)
                *text++ = *at;
        *text++ = ' ';
        if (text > end)
            workload_fail("too many settings", "");
    }
    *text = 0;
}

/* All there before the start; in huge pages where they can be had, as on bare metal. */
static void *filled_memory(uint64_t bytes)
{
    struct sysinfo info;
    char *memory;

    sysinfo(&info);
    if (bytes + RESERVE_BYTES > (uint64_t)info.freeram * info.mem_unit)
        workload_fail("ws (and still) is more than the free RAM has room for", "");
    memory = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        workload_fail("no memory for ws and still", "");
    memory += -(uintptr_t)memory % HUGE_BYTES;
    madvise(memory, bytes, MADV_HUGEPAGE);
    if (mlock(memory, bytes))
        workload_fail("cannot lock ws and still into memory", "");
    return memory;
}

static void *thread(void *cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((uintptr_t)cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one))
        workload_fail("the machine has fewer vCPUs than cpus= says", "");
    workload_thread((unsigned)(uintptr_t)cpu);
}

int main(int argc, char **argv)
{
    char arguments[ARGUMENT_BYTES];
    struct settings set;
    uint64_t filled;
    char *memory;
    pthread_t id;

    (void)argc;
    open_console();
    if (ioperm(0x42, 0x61 - 0x42 + 1, 1))
        workload_fail("no access to the PIT's ports", "");
    join(arguments, argv + 1);
    workload_configure(&set, arguments);
    if (set.cpus > (uint64_t)get_nprocs())
        workload_fail("the machine has fewer vCPUs than cpus= says", "");
    filled = set.ws_bytes + set.still_bytes;
    memory = filled_memory(filled + workload_count_bytes(&set));
    workload_announce("linux", &set, memory, memory + set.ws_bytes, memory + filled, 0);
    for (uintptr_t cpu = 1; cpu < set.cpus; cpu++)
        if (pthread_create(&id, NULL, thread, (void *)cpu))
            workload_fail("cannot start a thread", "");
    thread(NULL);
}
