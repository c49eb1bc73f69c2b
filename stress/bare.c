/* The bare-metal guest: a serial port, the vCPUs, and where the memory is. */
#include "tsc.h"
#include "workload.h"

enum { COM1 = 0x3f8, FIFO_BYTES = 16, TRAMPOLINE = 0x8000 };
enum { HAS_COMMAND_LINE = 1 << 2, HAS_MEMORY_MAP = 1 << 6, REGION_IS_RAM = 1 };

struct multiboot {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
    uint32_t modules[2], symbols[4], map_bytes, map;
};

struct region {
    uint32_t bytes_after_this_field;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

extern const char image_end[], trampoline[], trampoline_end[];
extern uint32_t boot_information;
extern volatile unsigned started; /* vCPUs that have come up */

static struct settings set;
static volatile unsigned begin; /* the first vCPU has set everything up */
static unsigned port_taken;

static void serial_open(void)
{
    outb(COM1 + 1, 0);    /* no interrupts */
    outb(COM1 + 3, 0x80); /* divisor: 115200 */
    outb(COM1 + 0, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 3); /* 8 bits, no parity, one stop bit */
    outb(COM1 + 2, 7); /* FIFOs on and empty */
    outb(COM1 + 4, 3);
}

/* A FIFO at a time, by one string instruction: one exit each under KVM. */
void platform_write(const char *line, size_t bytes)
{
    while (__atomic_exchange_n(&port_taken, 1, __ATOMIC_ACQUIRE))
        tsc_pause();
    while (bytes) {
        size_t count = bytes < FIFO_BYTES ? bytes : FIFO_BYTES;

        while (!(inb(COM1 + 5) & 0x20))
            tsc_pause();
        bytes -= count;
        __asm__ volatile("rep outsb"
                         : "+S"(line), "+c"(count)
                         : "d"((uint16_t)COM1)
                         : "memory");
    }
    __atomic_store_n(&port_taken, 0, __ATOMIC_RELEASE);
}

_Noreturn void platform_stop(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void wait_us(uint64_t us)
{
    uint64_t until = tsc_read() + us * (set.tsc_hz / 1000000 + 1);

    while (tsc_read() < until)
        tsc_pause();
}

static void interrupt_all_others(uint32_t command)
{
    *(volatile uint32_t *)0xfee00300 = 0xc0000 | command;
}

/* INIT, start-up, start-up to all vCPUs but this one (Intel SDM 3A, 9.4.4). */
static void start_others(void)
{
    volatile uint32_t *spurious = (volatile uint32_t *)0xfee000f0;
    char *low = (char *)TRAMPOLINE;

    if (set.cpus == 1)
        return;
    for (const char *at = trampoline; at < trampoline_end; at++)
        *low++ = *at;
    *spurious |= 0x100; /* local APIC on */
    interrupt_all_others(0x4500);
    wait_us(10000);
    for (int i = 0; i < 2; i++) {
        interrupt_all_others(0x4600 | TRAMPOLINE >> 12);
        wait_us(200);
    }
    for (int ms = 0; started < set.cpus; ms++) {
        if (ms == 2000)
            workload_fail("the machine has fewer vCPUs than cpus= says", "");
        wait_us(1000);
    }
}

/* Where the RAM that holds the image ends. */
static uint64_t ram_end(const struct multiboot *boot)
{
    const char *at = (const char *)(uintptr_t)boot->map;
    const char *end = at + boot->map_bytes;

    while (boot->flags & HAS_MEMORY_MAP && at < end) {
        const struct region *region = (const struct region *)at;
        uint64_t region_end = region->base + region->length;

        if (region->type == REGION_IS_RAM && region->base <= (uintptr_t)image_end &&
            region_end > (uintptr_t)image_end)
            return region_end;
        at += region->bytes_after_this_field + 4;
    }
    workload_fail("the loader gave no memory map", "");
}

static void first_vcpu(void)
{
    const struct multiboot *boot = (const void *)(uintptr_t)boot_information;
    const char *arguments = "";
    uint64_t base = ((uintptr_t)image_end + 0x1fffff) & ~0x1fffffull, end, still, counts;

    serial_open();
    if (boot->flags & HAS_COMMAND_LINE)
        arguments = workload_arguments((const char *)(uintptr_t)boot->command_line);
    workload_configure(&set, arguments);
    end = ram_end(boot) & ~(uint64_t)(PAGE_BYTES - 1);
    counts = workload_count_bytes(&set);
    if (end < base + counts || set.ws_bytes > end - base - counts ||
        set.still_bytes > end - base - counts - set.ws_bytes)
        workload_fail("ws (and still) is more than the RAM has room for", "");
    start_others();
    /* At the end of RAM, where Linux has most of its own. */
    still = end - set.still_bytes;
    counts = still - counts;
    workload_announce("bare", &set, (void *)(uintptr_t)base, (void *)(uintptr_t)still,
                      (void *)(uintptr_t)counts, base);
    begin = 1;
}

void bare_main(unsigned cpu)
{
    if (cpu == 0)
        first_vcpu();
    while (!begin)
        tsc_pause();
    if (cpu >= set.cpus)
        platform_stop();
    workload_thread(cpu);
}
