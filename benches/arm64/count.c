/* A plugin for qemu-aarch64: counts the instructions that a program executes, by kind.
 *
 * Whenever qemu translates a block of code, each kind that is in it gets its number added to a counter of the
 * process, once for every time that the block runs. That is exact as long as one thread runs and no block is left
 * half way, which only a signal would do.
 *
 *     gcc -shared -fPIC -O2 -o count.so count.c
 *     qemu-aarch64 -plugin ./count.so -d plugin -D counts.txt PROGRAM      one line a kind: name, number
 *
 * Version 1 of qemu's plugin interface, that of qemu 6.0 to 8.1 (Debian 12 has 7.2); what is used of it is declared
 * here because Debian packs no header. A later qemu says that it wants a later version.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*ended)(qemu_plugin_id_t, void *), void *user);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, enum qemu_plugin_op op, void *counter,
                                              uint64_t number);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t at);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
void qemu_plugin_outs(const char *text);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;

/* Bits that tell the kinds apart, after the encoding index of the Arm Architecture Reference Manual (section C4.1).
 * An instruction is of the first kind that it fits. What matters is which pipes of a processor take it. */
static const struct kind {
    const char *name;
    uint32_t mask, value;
} KINDS[] = {
    /* sdot and udot: vector, and by element. */
    {"dot", 0x9fe0fc00, 0x0e809400},
    {"dot", 0x9fc0f400, 0x0f80e000},
    /* Products twice as wide as their factors, with or without a sum: mull, mlal, mlsl; the last two by element. */
    {"multiply_long", 0x9f20fc00, 0x0e20c000},
    {"multiply_long", 0x9f20dc00, 0x0e208000},
    {"multiply_long", 0x9f00f400, 0x0f00a000},
    {"multiply_long", 0x9f00b400, 0x0f002000},
    /* Products as wide as their factors: mul, mla, mls. */
    {"multiply", 0x9f20f400, 0x0e209400},
    /* Neighbours added to a sum twice as wide: sadalp, uadalp. */
    {"add_pairs_long", 0x9f3ffc00, 0x0e206800},
    /* Between integers and floats, and rounding. */
    {"convert", 0x9f3f8c00, 0x0e218800},
    /* Between vector registers and the others: fmov; dup, ins. */
    {"transfer", 0x7f20fc00, 0x1e200000},
    {"transfer", 0x9fe0fc00, 0x0e000c00},
    {"transfer", 0xffe0fc00, 0x4e001c00},
    /* Anything else that computes in vector registers. */
    {"vector", 0x0e000000, 0x0e000000},
    /* One number to all lanes: a load and a vector instruction in one. */
    {"load_and_spread", 0xbf60e000, 0x0d40c000},
    /* From or to memory: two vector registers, other vector registers, numbers. */
    {"vector_memory_pair", 0x3e000000, 0x2c000000},
    {"vector_memory", 0x0e000000, 0x0c000000},
    {"memory", 0x0a000000, 0x08000000},
    {"other", 0, 0},
};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0] };

static uint64_t executed[KIND_COUNT];

static size_t kind_of(uint32_t instruction)
{
    size_t kind = 0;
    while ((instruction & KINDS[kind].mask) != KINDS[kind].value)
        kind++;
    return kind;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    uint64_t numbers[KIND_COUNT] = {0};
    size_t len = qemu_plugin_tb_n_insns(block);

    (void)id;
    for (size_t at = 0; at < len; at++) {
        uint32_t instruction;
        memcpy(&instruction, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, at)), sizeof instruction);
        numbers[kind_of(instruction)]++;
    }
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        if (numbers[kind] > 0)
            qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &executed[kind],
                                                     numbers[kind]);
}

static void ended(qemu_plugin_id_t id, void *user)
{
    (void)id, (void)user;
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        char line[64];
        snprintf(line, sizeof line, "%s %" PRIu64 "\n", KINDS[kind].name, executed[kind]);
        qemu_plugin_outs(line);
    }
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *about, int argc, char **argv)
{
    (void)about, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
