/* The C interpreter of the compiled table (edge_agent/canbus/plan.py), and the sieve of a collection.
 *
 *     key (bus, id) -> run: ops, then for each switch the arm that its value selects -> run ...
 *
 * Rule 1: a table is checked once, when it is made: every index lies inside, runs only lead to later runs.
 *         After that no table content can lead outside of memory, whatever it says.
 * Rule 2: what a frame says is checked per frame, again while the GIL is released: nobody can pull a buffer's
 *         offsets away between a check and a use.
 * Rule 3: the generated Python (generated.py) gives the same rows in the same order, bit for bit.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- the table, as NumPy lays it out in plan_table.py ------------------------------------------------- */

typedef struct {
    double scale, offset;
    uint64_t mask;   /* of the raw value, after the shift */
    uint64_t sign;   /* its sign bit, or 0 */
    int32_t signal;  /* number in the plan */
    uint16_t byte;   /* where the window begins */
    uint16_t need;   /* bytes a payload must have to hold the signal */
    uint8_t shift;
    uint8_t kind;
    uint16_t bits;
    uint32_t unused;
} Op;

typedef struct {
    uint32_t first_op, ops, first_switch, switches;
} Run;

typedef struct {
    uint32_t op, first_arm, arms;
} Switch;

typedef struct {
    int64_t low, high;
    uint32_t run, unused;
} Arm;

typedef struct {
    uint64_t key;
    uint32_t run, length;
} Key;

_Static_assert(sizeof(Op) == 48, "plan_table.OP");
_Static_assert(sizeof(Run) == 16, "plan_table.RUN");
_Static_assert(sizeof(Switch) == 12, "plan_table.SWITCH");
_Static_assert(sizeof(Arm) == 24, "plan_table.ARM");
_Static_assert(sizeof(Key) == 16, "plan_table.KEY");

enum { BIG = 1, UNSIGNED_64 = 2, FLOAT_16 = 4, FLOAT_32 = 8, FLOAT_64 = 16, NINE_BYTES = 32, WIDE = 64 };
enum { KINDS = 127, MAX_DEPTH = 32 };

static const uint32_t EXTENDED = 0x80000000u, REMOTE = 0x40000000u, ERROR_FRAME = 0x20000000u;
static const uint64_t PGN_KEY = 0x40000000u; /* the remote bit never stands in a key, so it marks a PGN */

enum { UNKNOWN_ID, SHORT_FRAME, UNKNOWN_MULTIPLEXER, REMOTE_FRAME, ERROR_FRAMES, REASONS };

/* Below this many frames a batch is over sooner than another thread would have woken up. */
enum { RELEASE_GIL_FRAMES = 16 };
/* Frames whose runs are remembered on the C stack. */
enum { STACK_FRAMES = 1024 };

/* What is worked out once for each run. */
typedef struct {
    uint32_t most;  /* rows a frame can give at most */
    uint16_t need;  /* bytes that make every check of a single signal superfluous */
    uint8_t depth;
    uint8_t plain;  /* every op is an integer inside one 8-byte window */
} RunFacts;

typedef struct {
    int64_t raw;
    uint64_t value;
    uint64_t seen;
} Last;

typedef struct {
    PyObject_HEAD
    Op *op;
    Run *run;
    Switch *swit;
    Arm *arm;
    Key *slot; /* open addressing; run == NO_RUN is free */
    RunFacts *facts;
    Last *last;
    PyObject *names; /* tuple of str, one for each signal */
    PyObject *no_refusals;
    size_t ops, runs, switches, arms, signals;
    uint64_t slot_mask;
    uint8_t has_pgn[256];
} Table;

static const uint32_t NO_RUN = 0xFFFFFFFFu;

typedef struct {
    int64_t *restrict raw;
    double *restrict value;
    int32_t *restrict signal;
    int32_t *restrict frame;
} Columns;

/* ---- one signal ---------------------------------------------------------------------------------------- */

static inline uint64_t window(const uint8_t *data, int big) {
    uint64_t word;
    memcpy(&word, data, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    big = !big;
#endif
    /* No branch: byte orders are mixed within a message and would be mispredicted. */
    return word ^ ((word ^ __builtin_bswap64(word)) & (0 - (uint64_t)big));
}

static inline uint64_t bits_of(const Op *op, const uint8_t *data) {
    uint64_t word = (window(data + op->byte, op->kind & BIG) >> op->shift) & op->mask;
    return (word ^ op->sign) - op->sign;
}

static uint64_t bits_of_nine(const Op *op, const uint8_t *data) {
    uint64_t word = window(data + op->byte, op->kind & BIG), ninth = data[op->byte + 8];
    if (op->kind & BIG)
        word = (word << (8 - op->shift)) | (ninth >> op->shift);
    else
        word = (word >> op->shift) | (op->shift ? ninth << (64 - op->shift) : 0);
    word &= op->mask;
    return (word ^ op->sign) - op->sign;
}

/* Eight bits of a wide signal, number `index` counted from its least significant end. */
static unsigned octet(const Op *op, const uint8_t *data, unsigned index) {
    unsigned at = (index * 8 + op->shift) / 8, span = op->need - op->byte;
    int step = op->kind & BIG ? -1 : 1;
    const uint8_t *lowest = op->kind & BIG ? data + op->need - 1 : data + op->byte;
    unsigned pair = lowest[step * (int)at];
    if (at + 1 < span) pair |= (unsigned)lowest[step * (int)(at + 1)] << 8;
    unsigned left = op->bits - index * 8;
    return (pair >> (op->shift % 8)) & (left < 8 ? (1u << left) - 1 : 0xFFu);
}

/* More than 64 bits: the double nearest to the whole number, ties to even, and its lowest 64 bits. */
static double wide_value(const Op *op, const uint8_t *data, uint64_t *low) {
    unsigned octets = (op->bits + 7u) / 8u, lowest = 0, highest = octets - 1;
    *low = 0;
    for (unsigned i = 0; i < 8; i++) *low |= (uint64_t)octet(op, data, i) << (8 * i);
    unsigned top = octet(op, data, highest), top_bits = op->bits - 8 * highest;
    unsigned flip = op->sign && top >> (top_bits - 1) ? 0xFF : 0;
    while (lowest < octets && octet(op, data, lowest) == 0) lowest++;
    if (lowest == octets) return 0.0;
/* Octet i of the magnitude: two's complement turns every octet above the lowest that is not zero. */
#define MAGNITUDE(i) \
    ((octet(op, data, (i)) ^ ((i) > lowest ? flip : 0)) & ((i) == octets - 1 ? (1u << top_bits) - 1 : 0xFF))
    unsigned turned = flip ? (0u - octet(op, data, lowest)) & 0xFF : octet(op, data, lowest);
    if (lowest == octets - 1) turned &= (1u << top_bits) - 1;
    while (highest > lowest && MAGNITUDE(highest) == 0) highest--;
    unsigned from = highest >= 7 ? highest - 7 : 0;
    uint64_t head = 0;
    for (unsigned i = highest + 1; i-- > from;) {
        unsigned magnitude = i > lowest ? MAGNITUDE(i) : i == lowest ? turned : 0;
        head = head << 8 | magnitude;
    }
#undef MAGNITUDE
    if (lowest < from) head |= 1; /* something below: no tie */
    double value = ldexp((double)head, (int)(8 * from));
    return flip ? -value : value;
}

static double half_value(uint16_t half) {
    unsigned exponent = half >> 10 & 31, fraction = half & 1023;
    double value = exponent == 31 ? (fraction ? Py_NAN : Py_HUGE_VAL)
                   : exponent     ? ldexp(1024.0 + fraction, (int)exponent - 25)
                                  : ldexp(fraction, -24);
    return half >> 15 ? -value : value;
}

static double any_value(const Op *op, const uint8_t *data, int64_t *raw) {
    uint64_t bits;
    double value;
    if (op->kind & WIDE)
        value = wide_value(op, data, &bits);
    else {
        bits = op->kind & NINE_BYTES ? bits_of_nine(op, data) : bits_of(op, data);
        if (op->kind & FLOAT_64)
            memcpy(&value, &bits, 8);
        else if (op->kind & FLOAT_32) {
            float single;
            uint32_t word = (uint32_t)bits;
            memcpy(&single, &word, 4);
            value = single;
        } else if (op->kind & FLOAT_16)
            value = half_value((uint16_t)bits);
        else if (op->kind & UNSIGNED_64)
            value = (double)bits;
        else
            value = (double)(int64_t)bits;
    }
    *raw = (int64_t)bits;
    return value * op->scale + op->offset;
}

/* ---- one frame ----------------------------------------------------------------------------------------- */

/* The run that a switch leads to, or NO_RUN. */
static uint32_t selected(const Table *table, const Switch *choice, const Op *op, const uint8_t *data) {
    uint64_t bits = op->kind & NINE_BYTES ? bits_of_nine(op, data) : bits_of(op, data);
    int64_t value = (int64_t)(op->bits == 64 && !op->sign ? bits ^ (1ull << 63) : bits);
    const Arm *arm = table->arm + choice->first_arm;
    uint32_t left = choice->arms;
    if (!left) return NO_RUN;
    while (left > 1) {
        uint32_t half = left / 2;
        if (arm[half].low <= value) arm += half;
        left -= half;
    }
    return arm->low <= value && value <= arm->high ? arm->run : NO_RUN;
}

/* Decodes a frame that holds every byte its message needs.  Returns the rows written so far. */
static size_t whole(const Table *table, uint32_t number, const uint8_t *data, int32_t frame,
                    const Columns *out, size_t row, unsigned *faults) {
    const Run *run = table->run + number;
    const Op *op = table->op + run->first_op, *end = op + run->ops;
    if (table->facts[number].plain)
        for (; op < end; op++, row++) {
            int64_t raw = (int64_t)bits_of(op, data);
            out->raw[row] = raw;
            out->value[row] = (double)raw * op->scale + op->offset;
            out->signal[row] = op->signal;
            out->frame[row] = frame;
        }
    else
        for (; op < end; op++, row++) {
            int64_t raw;
            out->value[row] = any_value(op, data, &raw);
            out->raw[row] = raw;
            out->signal[row] = op->signal;
            out->frame[row] = frame;
        }
    for (uint32_t i = 0; i < run->switches; i++) {
        const Switch *choice = table->swit + run->first_switch + i;
        uint32_t next = selected(table, choice, table->op + choice->op, data);
        if (next == NO_RUN)
            *faults |= 1u << UNKNOWN_MULTIPLEXER;
        else
            row = whole(table, next, data, frame, out, row, faults);
    }
    return row;
}

/* The same for a frame that ends early: signals that lie wholly inside its `length` bytes are decoded. */
static size_t shortened(const Table *table, uint32_t number, const uint8_t *data, size_t length,
                        int32_t frame, const Columns *out, size_t row, unsigned *faults) {
    const Run *run = table->run + number;
    for (uint32_t i = 0; i < run->ops; i++) {
        const Op *op = table->op + run->first_op + i;
        if (op->need > length) {
            *faults |= 1u << SHORT_FRAME;
            continue;
        }
        int64_t raw;
        out->value[row] = any_value(op, data, &raw);
        out->raw[row] = raw;
        out->signal[row] = op->signal;
        out->frame[row++] = frame;
    }
    for (uint32_t i = 0; i < run->switches; i++) {
        const Switch *choice = table->swit + run->first_switch + i;
        const Op *op = table->op + choice->op;
        if (op->need > length) continue;
        uint32_t next = selected(table, choice, op, data);
        if (next == NO_RUN)
            *faults |= 1u << UNKNOWN_MULTIPLEXER;
        else
            row = shortened(table, next, data, length, frame, out, row, faults);
    }
    return row;
}

/* `room` bytes may be read from `data`, of which the frame has `length`. */
static size_t decode(const Table *table, uint32_t run, const uint8_t *data, size_t length, size_t room,
                     int32_t frame, const Columns *out, size_t row, unsigned *faults) {
    uint8_t padded[8];
    if (room < 8) { /* a window is 8 bytes wide, also over a shorter payload */
        memset(padded, 0, sizeof padded);
        memcpy(padded, data, length);
        data = padded;
    }
    if (length >= table->facts[run].need) return whole(table, run, data, frame, out, row, faults);
    return shortened(table, run, data, length, frame, out, row, faults);
}

/* Takes back the rows from `first` on that repeat what their signal said last.  NaN repeats NaN. */
static size_t changed(Table *table, const Columns *out, size_t first, size_t rows) {
    size_t kept = first;
    for (size_t row = first; row < rows; row++) {
        Last *last = table->last + out->signal[row];
        uint64_t value;
        memcpy(&value, &out->value[row], 8);
        if (last->seen && last->raw == out->raw[row] && last->value == value) continue;
        *last = (Last){out->raw[row], value, 1};
        out->raw[kept] = out->raw[row];
        out->value[kept] = out->value[row];
        out->signal[kept] = out->signal[row];
        out->frame[kept++] = out->frame[row];
    }
    return kept;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static inline uint64_t spread(uint64_t key) {
    key *= 0x9E3779B97F4A7C15ull;
    return key ^ key >> 32;
}

static inline uint32_t probe(const Table *table, uint64_t key) {
    for (uint64_t at = spread(key);; at++) {
        const Key *slot = table->slot + (at & table->slot_mask);
        if (slot->key == key || slot->run == NO_RUN) return slot->run;
    }
}

/* j1939.py says the same in Python. */
static inline uint32_t pgn_of(uint32_t can_id) {
    uint32_t pgn = can_id >> 8 & 0x3FFFF;
    return (pgn & 0xFF00) < 0xF000 ? pgn & 0x3FF00 : pgn;
}

static inline uint32_t run_of(const Table *table, uint8_t bus, uint32_t can_id) {
    uint32_t run = probe(table, (uint64_t)bus << 32 | can_id);
    if (run == NO_RUN && can_id & EXTENDED && table->has_pgn[bus])
        run = probe(table, (uint64_t)bus << 32 | PGN_KEY | pgn_of(can_id));
    return run;
}

static inline int refusal_of(uint32_t can_id) {
    return can_id & ERROR_FRAME ? ERROR_FRAMES : can_id & REMOTE ? REMOTE_FRAME : UNKNOWN_ID;
}

/* ---- making a table ------------------------------------------------------------------------------------ */

static int refuse(const char *what, size_t index) {
    PyErr_Format(PyExc_ValueError, "the decode table is damaged: %s %zu", what, index);
    return -1;
}

static int within(size_t first, size_t count, size_t total) { return first <= total && count <= total - first; }

static int check_op(const Table *table, size_t index) {
    const Op *op = table->op + index;
    size_t span = op->need - op->byte;
    if (op->signal < 0 || (size_t)op->signal >= table->signals) return refuse("signal number of op", index);
    if (op->kind > KINDS || !op->bits || !op->need || op->need <= op->byte) return refuse("op", index);
    if (op->kind & WIDE) {
        if (op->kind & ~(WIDE | BIG)) return refuse("kind of op", index);
        if (op->bits <= 64 || op->shift > 7 || (op->bits + op->shift + 7u) / 8u != span)
            return refuse("extent of op", index);
    } else if (op->kind & NINE_BYTES) {
        if (span != 9 || op->shift > 7) return refuse("extent of op", index);
    } else if (op->shift > 63 || op->byte + 8 > (op->need > 8 ? op->need : 8))
        return refuse("window of op", index);
    return 0;
}

static int check_run(Table *table, size_t index) {
    const Run *run = table->run + index;
    RunFacts *facts = table->facts + index;
    if (!within(run->first_op, run->ops, table->ops)) return refuse("ops of run", index);
    if (!within(run->first_switch, run->switches, table->switches)) return refuse("switches of run", index);
    uint64_t most = run->ops;
    *facts = (RunFacts){0, 0, 1, 1};
    for (uint32_t i = 0; i < run->ops; i++) {
        const Op *op = table->op + run->first_op + i;
        if (op->need > facts->need) facts->need = op->need;
        if (op->kind > BIG) facts->plain = 0;
    }
    for (uint32_t i = 0; i < run->switches; i++) {
        const Switch *choice = table->swit + run->first_switch + i;
        uint32_t most_of_arms = 0;
        if (choice->op >= table->ops || table->op[choice->op].kind & WIDE) return refuse("op of switch", i);
        if (!within(choice->first_arm, choice->arms, table->arms)) return refuse("arms of switch", i);
        if (table->op[choice->op].need > facts->need) facts->need = table->op[choice->op].need;
        for (uint32_t j = 0; j < choice->arms; j++) {
            uint32_t next = table->arm[choice->first_arm + j].run;
            if (next <= index || next >= table->runs) return refuse("arm of run", index);
            const RunFacts *below = table->facts + next;
            if (below->depth >= MAX_DEPTH) return refuse("depth of run", index);
            if (below->depth >= facts->depth) facts->depth = below->depth + 1;
            if (below->need > facts->need) facts->need = below->need;
            if (below->most > most_of_arms) most_of_arms = below->most;
        }
        most += most_of_arms;
    }
    if (most > INT32_MAX) return refuse("rows of run", index);
    facts->most = (uint32_t)most;
    return 0;
}

static int index_keys(Table *table, const Key *key, size_t keys) {
    size_t slots = 16;
    while (slots < keys * 4) slots *= 2;
    table->slot_mask = slots - 1;
    table->slot = PyMem_Malloc(slots * sizeof(Key));
    if (!table->slot) return PyErr_NoMemory(), -1;
    for (size_t i = 0; i < slots; i++) table->slot[i] = (Key){0, NO_RUN, 0};
    for (size_t i = 0; i < keys; i++) {
        if (key[i].run >= table->runs) return refuse("run of key", i);
        uint64_t at = spread(key[i].key);
        for (;; at++) {
            Key *slot = table->slot + (at & table->slot_mask);
            if (slot->run == NO_RUN) {
                *slot = key[i];
                break;
            }
            if (slot->key == key[i].key) return refuse("a key stands twice, at", i);
        }
        if (key[i].key & PGN_KEY) table->has_pgn[key[i].key >> 32 & 0xFF] = 1;
    }
    return 0;
}

/* Copies the rows of `view` into memory of our own; `*count` gets how many there are. */
static void *copied(const Py_buffer *view, size_t size, size_t *count) {
    if (view->len % (Py_ssize_t)size) {
        PyErr_SetString(PyExc_ValueError, "the decode table is damaged: a column has a broken row");
        return NULL;
    }
    *count = (size_t)view->len / size;
    if (*count >= NO_RUN) return PyErr_NoMemory();
    void *rows = PyMem_Malloc((size_t)view->len + 1);
    if (!rows) return PyErr_NoMemory();
    memcpy(rows, view->buf, (size_t)view->len);
    return rows;
}

static int take_over(Table *table, Py_buffer *view) {
    size_t keys;
    if (!(table->op = copied(view, sizeof(Op), &table->ops))) return -1;
    if (!(table->run = copied(view + 1, sizeof(Run), &table->runs))) return -1;
    if (!(table->swit = copied(view + 2, sizeof(Switch), &table->switches))) return -1;
    if (!(table->arm = copied(view + 3, sizeof(Arm), &table->arms))) return -1;
    table->facts = PyMem_Calloc(table->runs + 1, sizeof(RunFacts));
    table->last = PyMem_Calloc(table->signals + 1, sizeof(Last));
    table->no_refusals = Py_BuildValue("(iiiii)", 0, 0, 0, 0, 0);
    if (!table->facts || !table->last || !table->no_refusals) return PyErr_NoMemory(), -1;
    for (size_t i = 0; i < table->ops; i++)
        if (check_op(table, i)) return -1;
    for (size_t i = table->runs; i-- > 0;)
        if (check_run(table, i)) return -1;
    Key *key = copied(view + 4, sizeof(Key), &keys);
    if (!key) return -1;
    int result = index_keys(table, key, keys);
    PyMem_Free(key);
    return result;
}

static PyObject *table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *words[] = {"ops", "runs", "switches", "arms", "keys", "names", NULL};
    Py_buffer view[5];
    PyObject *names;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*y*y*y*y*O!:Table", words, view, view + 1, view + 2,
                                     view + 3, view + 4, &PyTuple_Type, &names))
        return NULL;
    Table *table = (Table *)type->tp_alloc(type, 0);
    int failed = !table;
    if (table) {
        table->names = Py_NewRef(names);
        table->signals = (size_t)PyTuple_GET_SIZE(names);
        for (size_t i = 0; i < table->signals && !failed; i++)
            if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, i))) {
                PyErr_SetString(PyExc_TypeError, "names must be a tuple of str");
                failed = 1;
            }
        failed = failed || take_over(table, view);
    }
    for (int i = 0; i < 5; i++) PyBuffer_Release(view + i);
    if (failed) Py_CLEAR(table);
    return (PyObject *)table;
}

static void table_dealloc(Table *table) {
    PyMem_Free(table->op);
    PyMem_Free(table->run);
    PyMem_Free(table->swit);
    PyMem_Free(table->arm);
    PyMem_Free(table->slot);
    PyMem_Free(table->facts);
    PyMem_Free(table->last);
    Py_XDECREF(table->names);
    Py_XDECREF(table->no_refusals);
    Py_TYPE(table)->tp_free((PyObject *)table);
}

/* ---- a batch of frames --------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *bus;
    const uint32_t *can_id;
    const uint32_t *offset;
    const uint8_t *payload;
    size_t frames, bytes;
} Frames;

/* The run of every frame, and how many rows they give at most. */
static size_t runs_of(const Table *table, const Frames *in, uint32_t *run, size_t *refused) {
    size_t most = 0;
    for (size_t i = 0; i < in->frames; i++) {
        run[i] = run_of(table, in->bus[i], in->can_id[i]);
        if (run[i] == NO_RUN)
            refused[refusal_of(in->can_id[i])]++;
        else
            most += table->facts[run[i]].most;
    }
    return most;
}

/* Returns the rows written; `*broken` gets the number of the first frame that lies outside of the payload. */
static size_t decode_all(Table *table, const Frames *in, const uint32_t *run, const Columns *out,
                         int changed_only, size_t *refused, size_t *broken) {
    size_t row = 0;
    for (size_t i = 0; i < in->frames; i++) {
        size_t start = in->offset[i], end = in->offset[i + 1];
        if (start > end || end > in->bytes) {
            *broken = i;
            return 0;
        }
        if (run[i] == NO_RUN) continue;
        unsigned faults = 0;
        size_t first = row;
        row = decode(table, run[i], in->payload + start, end - start, in->bytes - start, (int32_t)i, out,
                     row, &faults);
        if (faults) {
            refused[SHORT_FRAME] += faults >> SHORT_FRAME & 1;
            refused[UNKNOWN_MULTIPLEXER] += faults >> UNKNOWN_MULTIPLEXER & 1;
        }
        if (changed_only) row = changed(table, out, first, row);
    }
    return row;
}

static Columns columns_in(char *memory, size_t rows) {
    Columns out;
    out.raw = (int64_t *)memory;
    out.value = (double *)(memory + 8 * rows);
    out.signal = (int32_t *)(memory + 16 * rows);
    out.frame = (int32_t *)(memory + 20 * rows);
    return out;
}

/* Fewer rows came than there was room for: the columns move together. */
static void close_up(char *memory, size_t room, size_t rows) {
    memmove(memory + 8 * rows, memory + 8 * room, 8 * rows);
    memmove(memory + 16 * rows, memory + 16 * room, 4 * rows);
    memmove(memory + 20 * rows, memory + 20 * room, 4 * rows);
}

static PyObject *refusals(const Table *table, const size_t *refused) {
    size_t total = 0;
    for (int i = 0; i < REASONS; i++) total += refused[i];
    if (!total) return Py_NewRef(table->no_refusals);
    return Py_BuildValue("(nnnnn)", (Py_ssize_t)refused[0], (Py_ssize_t)refused[1], (Py_ssize_t)refused[2],
                         (Py_ssize_t)refused[3], (Py_ssize_t)refused[4]);
}

static PyObject *decoded(Table *table, const Frames *in, int changed_only, uint32_t *run) {
    size_t refused[REASONS] = {0}, broken = SIZE_MAX, room, rows = 0;
    int release = in->frames >= RELEASE_GIL_FRAMES;
    PyThreadState *state = release ? PyEval_SaveThread() : NULL;
    room = runs_of(table, in, run, refused);
    if (release) PyEval_RestoreThread(state);
    if (room > PY_SSIZE_T_MAX / 24 - 64) return PyErr_NoMemory();
    PyObject *memory = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(24 * room));
    if (!memory) return NULL;
    Columns out = columns_in(PyBytes_AS_STRING(memory), room);
    state = release ? PyEval_SaveThread() : NULL;
    rows = decode_all(table, in, run, &out, changed_only, refused, &broken);
    if (rows < room) close_up((char *)out.raw, room, rows);
    if (release) PyEval_RestoreThread(state);
    if (broken != SIZE_MAX) {
        Py_DECREF(memory);
        return PyErr_Format(PyExc_ValueError, "frame %zu lies outside of the block's payload", broken);
    }
    if (rows < room && _PyBytes_Resize(&memory, (Py_ssize_t)(24 * rows))) return NULL;
    PyObject *counts = refusals(table, refused);
    if (!counts) {
        Py_DECREF(memory);
        return NULL;
    }
    return Py_BuildValue("(NnN)", memory, (Py_ssize_t)rows, counts);
}

static PyObject *table_batch(Table *table, PyObject *const *args, Py_ssize_t count) {
    Py_buffer view[4];
    uint32_t on_stack[STACK_FRAMES], *run = on_stack;
    PyObject *result = NULL;
    int views = 0, changed_only;
    if (count != 5) return PyErr_Format(PyExc_TypeError, "batch takes 5 arguments, not %zd", count);
    if ((changed_only = PyObject_IsTrue(args[4])) < 0) return NULL;
    for (; views < 4; views++)
        if (PyObject_GetBuffer(args[views], view + views, PyBUF_SIMPLE)) goto done;
    size_t frames = (size_t)view[0].len;
    if ((size_t)view[1].len != 4 * frames || (size_t)view[2].len != 4 * (frames + 1) || frames > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the columns of the frame block are not of one length");
        goto done;
    }
    if (((uintptr_t)view[1].buf | (uintptr_t)view[2].buf) % 4) {
        PyErr_SetString(PyExc_ValueError, "the columns of the frame block are not aligned");
        goto done;
    }
    if (frames > STACK_FRAMES && !(run = PyMem_Malloc(frames * sizeof *run))) {
        PyErr_NoMemory();
        goto done;
    }
    Frames in = {view[0].buf, view[1].buf, view[2].buf, view[3].buf, frames, (size_t)view[3].len};
    result = decoded(table, &in, changed_only, run);
    if (run != on_stack) PyMem_Free(run);
done:
    while (views-- > 0) PyBuffer_Release(view + views);
    return result;
}

/* ---- one frame, as a dict ------------------------------------------------------------------------------ */

/* Rows of one frame that need no memory of their own. */
enum { STACK_ROWS = 512 };

static PyObject *as_dict(const Table *table, uint32_t run, const uint8_t *data, size_t length) {
    int64_t on_stack[3 * STACK_ROWS];
    char *memory = (char *)on_stack;
    size_t room = table->facts[run].most;
    unsigned faults = 0;
    if (room > STACK_ROWS && !(memory = PyMem_Malloc(24 * room))) return PyErr_NoMemory();
    Columns out = columns_in(memory, room);
    size_t rows = decode(table, run, data, length, length, 0, &out, 0, &faults);
    PyObject *dict = PyDict_New();
    for (size_t row = 0; row < rows && dict; row++) {
        PyObject *value = PyFloat_FromDouble(out.value[row]);
        if (!value || PyDict_SetItem(dict, PyTuple_GET_ITEM(table->names, out.signal[row]), value))
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    if (memory != (char *)on_stack) PyMem_Free(memory);
    return dict;
}

/* -1 with an error set; 1 where the number cannot be a bus or an id at all. */
static int small_number(PyObject *object, unsigned long largest, unsigned long *number) {
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "bus and id must be int, not %.100s", Py_TYPE(object)->tp_name);
        return -1;
    }
    *number = PyLong_AsUnsignedLong(object);
    if (*number == (unsigned long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return 1;
    }
    return *number > largest;
}

static PyObject *table_decode_frame(Table *table, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    static const char *const words[] = {"can_id", "data", "bus"};
    PyObject *given[3] = {NULL, NULL, NULL};
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (count > 3) return PyErr_Format(PyExc_TypeError, "decode_frame takes at most 3 arguments");
    for (Py_ssize_t i = 0; i < count; i++) given[i] = args[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        int at = 0;
        while (at < 3 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), words[at])) at++;
        if (at == 3 || given[at]) return PyErr_Format(PyExc_TypeError, "decode_frame(can_id, data, bus=0)");
        given[at] = args[count + i];
    }
    if (!given[0] || !given[1]) return PyErr_Format(PyExc_TypeError, "decode_frame(can_id, data, bus=0)");
    unsigned long can_id, bus = 0;
    int odd = small_number(given[0], 0xFFFFFFFFul, &can_id);
    if (!odd && given[2]) odd = small_number(given[2], 255, &bus);
    if (odd < 0) return NULL;
    uint32_t run = odd ? NO_RUN : run_of(table, (uint8_t)bus, (uint32_t)can_id);
    if (run == NO_RUN) return PyDict_New();
    if (PyBytes_CheckExact(given[1]))
        return as_dict(table, run, (const uint8_t *)PyBytes_AS_STRING(given[1]),
                       (size_t)PyBytes_GET_SIZE(given[1]));
    Py_buffer view;
    if (PyObject_GetBuffer(given[1], &view, PyBUF_SIMPLE)) return NULL;
    PyObject *dict = as_dict(table, run, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return dict;
}

static PyObject *table_forget(Table *table, PyObject *Py_UNUSED(none)) {
    memset(table->last, 0, table->signals * sizeof(Last));
    Py_RETURN_NONE;
}

/* ---- the sieve of a collection ------------------------------------------------------------------------- */

typedef struct {
    const int32_t *signal;
    const int64_t *time_ns;
    const double *value;
    const int64_t *interval_ns;
    const uint8_t *on_change;
    int64_t *last_time_ns;
    double *last_value;
    uint8_t *keep;
    size_t samples, signals;
} Sieve;

static const int64_t NEVER = INT64_MIN;

static int passes(const Sieve *in, size_t i, size_t signal) {
    int64_t last = in->last_time_ns[signal], now = in->time_ns[i], interval = in->interval_ns[signal];
    if (last == NEVER) return 1;
    /* A wall clock set back counts as time passed: nothing falls silent until it has caught up. */
    if (now >= last && interval > 0 && (uint64_t)now - (uint64_t)last < (uint64_t)interval) return 0;
    if (!in->on_change[signal]) return 1;
    double value = in->value[i], before = in->last_value[signal];
    return !(value == before || (value != value && before != before));
}

/* Returns the samples kept; `*broken` gets the number of the first sample of no known signal. */
static size_t sieve(const Sieve *in, size_t *broken) {
    size_t kept = 0;
    for (size_t i = 0; i < in->samples; i++) {
        size_t signal = (size_t)(uint32_t)in->signal[i];
        if (signal >= in->signals) {
            *broken = i;
            return 0;
        }
        in->keep[i] = (uint8_t)passes(in, i, signal);
        if (!in->keep[i]) continue;
        in->last_time_ns[signal] = in->time_ns[i];
        in->last_value[signal] = in->value[i];
        kept++;
    }
    return kept;
}

static PyObject *kernel_sift(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    enum { COLUMNS = 8 };
    static const size_t size[COLUMNS] = {4, 8, 8, 8, 1, 8, 8, 1};
    Py_buffer view[COLUMNS];
    PyObject *result = NULL;
    int views = 0;
    if (count != COLUMNS) return PyErr_Format(PyExc_TypeError, "sift takes 8 arguments, not %zd", count);
    for (; views < COLUMNS; views++)
        if (PyObject_GetBuffer(args[views], view + views, views < 5 ? PyBUF_SIMPLE : PyBUF_WRITABLE)) goto done;
    size_t samples = (size_t)view[7].len, signals = (size_t)view[4].len;
    for (int i = 0; i < COLUMNS; i++) {
        size_t rows = i < 3 || i == 7 ? samples : signals;
        if ((size_t)view[i].len != rows * size[i] || (uintptr_t)view[i].buf % size[i]) {
            PyErr_Format(PyExc_ValueError, "argument %d of sift has the wrong length or alignment", i + 1);
            goto done;
        }
    }
    Sieve in = {view[0].buf, view[1].buf, view[2].buf, view[3].buf, view[4].buf,
                view[5].buf, view[6].buf, view[7].buf, samples,     signals};
    size_t broken = SIZE_MAX, kept;
    Py_BEGIN_ALLOW_THREADS
    kept = sieve(&in, &broken);
    Py_END_ALLOW_THREADS
    if (broken != SIZE_MAX)
        PyErr_Format(PyExc_ValueError, "sample %zu is of no signal of the table", broken);
    else
        result = PyLong_FromSize_t(kept);
done:
    while (views-- > 0) PyBuffer_Release(view + views);
    return result;
}

/* ---- the module ---------------------------------------------------------------------------------------- */

static PyMethodDef table_methods[] = {
    {"batch", (PyCFunction)(void (*)(void))table_batch, METH_FASTCALL,
     "batch(bus, can_id, offset, payload, changed_only) -> (columns, rows, refusals)"},
    {"decode_frame", (PyCFunction)(void (*)(void))table_decode_frame, METH_FASTCALL | METH_KEYWORDS,
     "decode_frame(can_id, data, bus=0) -> dict of signal name to value"},
    {"forget", (PyCFunction)table_forget, METH_NOARGS, "forget() -> None: what changed_only remembers"},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject TableType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edge_agent.canbus._kernel.Table",
    .tp_doc = "Table(ops, runs, switches, arms, keys, names): a compiled table, checked",
    .tp_basicsize = sizeof(Table),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = table_new,
    .tp_dealloc = (destructor)table_dealloc,
    .tp_methods = table_methods,
};

static PyMethodDef module_methods[] = {
    {"sift", (PyCFunction)(void (*)(void))kernel_sift, METH_FASTCALL,
     "sift(signal, time_ns, value, interval_ns, on_change, last_time_ns, last_value, keep) -> kept"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef kernel_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_kernel",
    .m_doc = "The C interpreter of compiled CAN tables.",
    .m_size = -1,
    .m_methods = module_methods,
};

PyMODINIT_FUNC PyInit__kernel(void) {
    if (PyType_Ready(&TableType) < 0) return NULL;
    PyObject *module = PyModule_Create(&kernel_module);
    if (module && PyModule_AddObjectRef(module, "Table", (PyObject *)&TableType) < 0) Py_CLEAR(module);
    return module;
}
