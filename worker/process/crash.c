#include "worker/process/crash.h"

#include "common/fd.h"
#include "worker/process/sandbox_build.h"

#include <elf.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define MODULES_MAX 256
#define NAME_MAX_BYTES 48
#define FRAMES_MAX 12
#define STACK_BYTES (64u << 10)
#define LINE_BYTES 1024

struct module {
    uintptr_t begin;
    uintptr_t end;
    uintptr_t base;
    char name[NAME_MAX_BYTES]; /* empty: this program */
};

struct symbol {
    uintptr_t offset;
    uintptr_t size;
    size_t name; /* where it begins in symbol_names */
};

static struct module modules[MODULES_MAX];
static size_t module_count;
static struct symbol *symbols; /* this program's functions, sorted by offset; NULL: not read */
static size_t symbol_count;
static char *symbol_names;

/* --- before the fork ------------------------------------------------------ */

static int add_module(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    const char *name = strrchr(info->dlpi_name, '/');
    for (int i = 0; i < info->dlpi_phnum && module_count < MODULES_MAX; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || (h->p_flags & PF_X) == 0)
            continue;
        struct module *m = &modules[module_count++];
        m->base = info->dlpi_addr;
        m->begin = info->dlpi_addr + h->p_vaddr;
        m->end = m->begin + h->p_memsz;
        strncpy(m->name, name != NULL ? name + 1 : info->dlpi_name, sizeof(m->name) - 1);
    }
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct symbol *x = a;
    const struct symbol *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Keep the functions of a symbol table, and a copy of the strings that hold their names. */
static void add_symbols(const ElfW(Sym) * table, size_t count, const char *strings, size_t len)
{
    struct symbol *kept = calloc(count, sizeof(*kept));
    char *names = malloc(len);
    if (kept == NULL || names == NULL) {
        free(kept);
        free(names);
        return;
    }
    memcpy(names, strings, len);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (ELF64_ST_TYPE(table[i].st_info) == STT_FUNC && table[i].st_value != 0)
            kept[n++] = (struct symbol){table[i].st_value, table[i].st_size, table[i].st_name};
    }
    qsort(kept, n, sizeof(*kept), by_offset);
    symbols = kept;
    symbol_count = n;
    symbol_names = names;
}

/* Read our own executable's symbol table; a stripped one has none. */
static void read_symbols(const unsigned char *file)
{
    const ElfW(Ehdr) *head = (const void *)file;
    const ElfW(Shdr) *sections = (const void *)(file + head->e_shoff);
    for (size_t i = 0; i < head->e_shnum; i++) {
        const ElfW(Shdr) *s = &sections[i];
        const ElfW(Shdr) *strings = &sections[s->sh_link];
        if (s->sh_type == SHT_SYMTAB)
            add_symbols((const void *)(file + s->sh_offset), s->sh_size / sizeof(ElfW(Sym)),
                        (const char *)file + strings->sh_offset, strings->sh_size);
    }
}

void crash_prepare(void)
{
    struct stat st;
    void *frames[2];
    (void)backtrace(frames, 2); /* loads the unwinder */
    module_count = 0;
    (void)dl_iterate_phdr(add_module, NULL);
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd != -1 && fstat(fd, &st) == 0 && symbols == NULL) {
        void *file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            read_symbols(file);
            (void)munmap(file, (size_t)st.st_size);
        }
    }
    fd_close(&fd);
}

/* --- the handler: async-signal-safe from here ----------------------------- */

struct line {
    size_t len;
    char text[LINE_BYTES];
};

static void put(struct line *l, const char *s)
{
    while (*s != '\0' && l->len < sizeof(l->text) - 1)
        l->text[l->len++] = *s++;
}

static void put_number(struct line *l, uintptr_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do
        digits[--at] = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    put(l, digits + at);
}

static const struct symbol *find_symbol(uintptr_t offset)
{
    const struct symbol *found = NULL;
    for (size_t i = 0; i < symbol_count && symbols[i].offset <= offset; i++)
        found = &symbols[i];
    return found != NULL && offset - found->offset < found->size ? found : NULL;
}

/* Write "rtp_receiver_packet+0x12", "libavcodec.so.59+0x1234" or the address alone. */
static void put_place(struct line *l, uintptr_t address)
{
    const struct module *m = NULL;
    for (size_t i = 0; i < module_count && m == NULL; i++)
        m = address >= modules[i].begin && address < modules[i].end ? &modules[i] : NULL;
    uintptr_t offset = m != NULL ? address - m->base : address;
    const struct symbol *s =
        m == modules ? find_symbol(offset) : NULL; /* our program comes first */
    if (s != NULL) {
        put(l, symbol_names + s->name);
        offset -= s->offset;
    } else if (m != NULL) {
        put(l, m->name[0] != '\0' ? m->name : "cam-httpflv-worker");
    }
    put(l, m != NULL ? "+0x" : "0x");
    put_number(l, offset, 16);
}

static const char *signal_name(int number)
{
    switch (number) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGILL:
        return "SIGILL";
    case SIGABRT:
        return "SIGABRT";
    default:
        return "a signal";
    }
}

static uintptr_t place_of(const void *context)
{
    const ucontext_t *c = context;
#if defined(__x86_64__)
    return (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)c->uc_mcontext.pc;
#else
    (void)c;
    return 0;
#endif
}

/* Begin a log_record.h record of level error by hand: snprintf() may allocate. */
static void begin(struct line *l)
{
    l->len = 0;
    put(l, "\x1e"
           "0"
           "\x1f");
}

static void send(struct line *l)
{
    l->text[l->len++] = '\0';
    ssize_t n = write(STDERR_FILENO, l->text, l->len);
    (void)n; /* there is nowhere else to report it */
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    static struct line l;
    begin(&l);
    put(&l, "crashed: ");
    put(&l, signal_name(number));
    put(&l, " in ");
    put_place(&l, place_of(context));
    if (info->si_code > 0) { /* the kernel sent it, so si_addr is set */
        put(&l, ", address 0x");
        put_number(&l, (uintptr_t)info->si_addr, 16);
    }
    send(&l);

    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    begin(&l);
    put(&l, "crashed: called by");
    for (int i = 2; i < count; i++) { /* skip this function and the kernel's signal frame */
        put(&l, i == 2 ? " " : " < ");
        put_place(&l, (uintptr_t)frames[i]);
    }
    send(&l);
    /* SA_RESETHAND restored the default action: the same signal now ends the process. */
    (void)syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
}

void crash_install(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    static char stack[STACK_BYTES]; /* the thread's own stack may have overflowed */
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
    const struct sigaction action = {.sa_sigaction = on_crash,
                                     .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
    if (SANDBOX_SANITIZER)
        return; /* the sanitizer's own handlers say more */
    (void)sigaltstack(&alternative, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
}
