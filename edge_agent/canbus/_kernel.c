/* The C interpreter of the compiled table (edge_agent/canbus/plan.py), and the sieve of a collection.
 *
 *     key (bus, id) -> run: ops, then for each switch the arm that its value selects -> run ...
 *
 * Rule 1: a table is checked once, when it is made: every index lies inside, runs only lead to later runs.
 *         After that no table content can lead outside of memory, whatever it says.
 * Rule 2: what a frame says is checked per frame, again while the GIL is released: nobody can pull a buffer's
 *         offsets away between a check and a use.
 * Rule 3: the Python interpreter (python_table.py) gives the same rows in the same order, bit for bit.
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
static const uint64_t PGN_KEY = 1ull << 40; /* above ids and buses, so that no id can say it */

enum { UNKNOWN_ID, SHORT_FRAME, UNKNOWN_MULTIPLEXER, REMOTE_FRAME, ERROR_FRAMES, REASONS };

/* Below this many frames a batch is over sooner than another thread would have woken up. */
enum { RELEASE_GIL_FRAMES = 16 };
/* How far a column of int32 may be written beyond its last row. */
enum { INT32_SLACK = 4 };
/* Frames whose runs are remembered on the C stack. */
enum { STACK_FRAMES = 1024 };

/* Shapes of a run: plain integers in the first 8 bytes, all of one byte order (nearly every real message);
 * plain integers in any windows; anything. */
enum { LITTLE_WORD, BIG_WORD, ANY_WORD, ANYTHING };

/* A run with what is worked out about it once. */
typedef struct {
    uint32_t first_op, ops, first_switch, switches;
    uint32_t most; /* rows a frame can give at most */
    uint16_t need; /* bytes that make every check of a single signal superfluous */
    uint8_t depth;
    uint8_t shape;
} Path;

typedef struct {
    int64_t raw;
    uint64_t value;
    uint64_t seen;
} Last;

typedef struct {
    PyObject_HEAD
    Op *op;
    int32_t *signal_of; /* the signals of the ops once more, close together, and a little longer */
    Path *path;
    Switch *swit;
    Arm *arm;
    Key *slot; /* open addressing; run == NO_RUN is free */
    Last *last;
    PyObject **said; /* by run, or NULL; see `last_said` */
    double *said_value; /* by op */
    PyObject *names; /* tuple of str, one for each signal */
    PyObject *names_of_columns[4], *view, *dtypes[3], *bad_input; /* see `introduce` */
    PyTypeObject *decoded, *refusals;
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

static inline double plain_value(const Op *op, const uint8_t *data, int64_t *raw) {
    *raw = (int64_t)bits_of(op, data);
    return (double)*raw * op->scale + op->offset;
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

/* Copies or fills whole 16-byte words, beyond the last row: every int32 column has room for that. */
static inline void put_numbers(const int32_t *from, int32_t frame, int32_t *signals, int32_t *frames, size_t ops) {
    const int32_t four[INT32_SLACK] = {frame, frame, frame, frame};
    for (size_t i = 0; i < ops; i += INT32_SLACK) {
        memcpy(signals + i, from + i, sizeof four);
        memcpy(frames + i, four, sizeof four);
    }
}

/* Reads the ops of one run. */
static inline void read_run(const Table *table, const Path *run, const uint8_t *data, int32_t frame,
                            const Columns *out, size_t row) {
    const Op *op = table->op + run->first_op;
    int64_t *restrict raws = out->raw + row;
    double *restrict values = out->value + row;
    size_t ops = run->ops;
    put_numbers(table->signal_of + run->first_op, frame, out->signal + row, out->frame + row, ops);
    if (run->shape <= BIG_WORD) {
        uint64_t word = window(data, run->shape == BIG_WORD);
        for (size_t i = 0; i < ops; i++) {
            uint64_t bits = (word >> op[i].shift) & op[i].mask;
            int64_t raw = (int64_t)((bits ^ op[i].sign) - op[i].sign);
            raws[i] = raw;
            values[i] = (double)raw * op[i].scale + op[i].offset;
        }
    } else if (run->shape == ANY_WORD)
        for (size_t i = 0; i < ops; i++) values[i] = plain_value(op + i, data, raws + i);
    else
        for (size_t i = 0; i < ops; i++) values[i] = any_value(op + i, data, raws + i);
}

/* Decodes a frame that holds every byte its message needs.  Returns the rows written so far. */
static size_t whole(const Table *table, uint32_t number, const uint8_t *data, int32_t frame,
                    const Columns *out, size_t row, unsigned *faults) {
    const Path *run = table->path + number;
    read_run(table, run, data, frame, out, row);
    row += run->ops;
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
    const Path *run = table->path + number;
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
    if (length >= table->path[run].need) return whole(table, run, data, frame, out, row, faults);
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

static int check_switch(const Table *table, size_t index, const Switch *choice, Path *path) {
    uint32_t most = 0;
    if (choice->op < path->first_op || choice->op - path->first_op >= path->ops) return refuse("switch of run", index);
    if (table->op[choice->op].kind & WIDE) return refuse("selector of run", index);
    if (!within(choice->first_arm, choice->arms, table->arms)) return refuse("arms of run", index);
    for (uint32_t i = 0; i < choice->arms; i++) {
        uint32_t next = table->arm[choice->first_arm + i].run;
        if (next <= index || next >= table->runs) return refuse("arm of run", index);
        const Path *below = table->path + next;
        if (below->depth >= MAX_DEPTH) return refuse("depth of run", index);
        if (below->depth >= path->depth) path->depth = below->depth + 1;
        if (below->need > path->need) path->need = below->need;
        if (below->most > most) most = below->most;
    }
    if (most > INT32_MAX - path->most) return refuse("rows of run", index);
    path->most += most;
    return 0;
}

static uint8_t shape_of(const Op *op) {
    if (op->kind > BIG) return ANYTHING;
    if (op->byte) return ANY_WORD;
    return op->kind == BIG ? BIG_WORD : LITTLE_WORD;
}

static uint8_t shape_with(uint8_t one, uint8_t other) {
    if (one == other) return one;
    return one == ANYTHING || other == ANYTHING ? ANYTHING : ANY_WORD;
}

/* Later runs must have been checked before. */
static int check_run(Table *table, size_t index, const Run *run) {
    Path *path = table->path + index;
    if (!within(run->first_op, run->ops, table->ops)) return refuse("ops of run", index);
    if (!within(run->first_switch, run->switches, table->switches)) return refuse("switches of run", index);
    if (run->ops > INT32_MAX) return refuse("rows of run", index);
    *path = (Path){run->first_op, run->ops, run->first_switch, run->switches, run->ops, 0, 1, LITTLE_WORD};
    for (uint32_t i = 0; i < run->ops; i++) {
        const Op *op = table->op + run->first_op + i;
        path->shape = i ? shape_with(path->shape, shape_of(op)) : shape_of(op);
        if (op->need > path->need) path->need = op->need;
    }
    for (uint32_t i = 0; i < run->switches; i++)
        if (check_switch(table, index, table->swit + run->first_switch + i, path)) return -1;
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

static int take_over(Table *table, const Py_buffer *view) {
    size_t keys = 0;
    int result = -1;
    Key *key = NULL;
    Run *run = copied(view + 1, sizeof(Run), &table->runs);
    if (!run || !(table->op = copied(view, sizeof(Op), &table->ops))) goto done;
    if (!(table->swit = copied(view + 2, sizeof(Switch), &table->switches))) goto done;
    if (!(table->arm = copied(view + 3, sizeof(Arm), &table->arms))) goto done;
    if (!(key = copied(view + 4, sizeof(Key), &keys))) goto done;
    table->path = PyMem_Calloc(table->runs + 1, sizeof(Path));
    table->last = PyMem_Calloc(table->signals + 1, sizeof(Last));
    table->signal_of = PyMem_Calloc(table->ops + INT32_SLACK, sizeof(int32_t));
    table->said = PyMem_Calloc(table->runs + 1, sizeof(PyObject *));
    table->said_value = PyMem_Calloc(table->ops + 1, sizeof(double));
    if (!table->said || !table->said_value || !table->path || !table->last || !table->signal_of) {
        PyErr_NoMemory();
        goto done;
    }
    for (size_t i = 0; i < table->ops; i++) {
        if (check_op(table, i)) goto done;
        table->signal_of[i] = table->op[i].signal;
    }
    for (size_t i = table->runs; i-- > 0;)
        if (check_run(table, i, run + i)) goto done;
    result = index_keys(table, key, keys);
done:
    PyMem_Free(run);
    PyMem_Free(key);
    return result;
}

static PyObject *attribute(const char *module_name, const char *name) {
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *object = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return object;
}

static PyObject *dtype(const char *name) {
    PyObject *make = attribute("numpy", "dtype");
    PyObject *made = make ? PyObject_CallFunction(make, "s", name) : NULL;
    Py_XDECREF(make);
    return made;
}

/* What a table must know of Python: how to see memory as an array, and in what to hand arrays over. */
static int introduce(Table *table) {
    static const char *const columns[4] = {"bus", "can_id", "offset", "payload"};
    static const char *const types[3] = {"int32", "int64", "float64"};
    for (int i = 0; i < 4; i++)
        if (!(table->names_of_columns[i] = PyUnicode_InternFromString(columns[i]))) return -1;
    for (int i = 0; i < 3; i++)
        if (!(table->dtypes[i] = dtype(types[i]))) return -1;
    table->view = attribute("numpy", "frombuffer");
    table->bad_input = attribute("fairway.errors", "BadInput");
    table->decoded = (PyTypeObject *)attribute("edge_agent.canbus.decoded", "Decoded");
    table->refusals = (PyTypeObject *)attribute("edge_agent.canbus.decoded", "Refusals");
    if (!table->view || !table->bad_input || !table->decoded || !table->refusals) return -1;
    if (!PyType_Check(table->decoded) || !PyType_IsSubtype(table->decoded, &PyTuple_Type) ||
        !PyType_Check(table->refusals) || !PyType_IsSubtype(table->refusals, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "Decoded and Refusals must be named tuples");
        return -1;
    }
    table->no_refusals = PyObject_CallNoArgs((PyObject *)table->refusals);
    return table->no_refusals ? 0 : -1;
}

static int take_names(Table *table, PyObject *names) {
    table->names = Py_NewRef(names);
    table->signals = (size_t)PyTuple_GET_SIZE(names);
    for (size_t i = 0; i < table->signals; i++)
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(names, i))) {
            PyErr_SetString(PyExc_TypeError, "names must be a tuple of str");
            return -1;
        }
    return 0;
}

static PyObject *table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *words[] = {"ops", "runs", "switches", "arms", "keys", "names", NULL};
    Py_buffer view[5];
    PyObject *names;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*y*y*y*y*O!:Table", words, view, view + 1, view + 2,
                                     view + 3, view + 4, &PyTuple_Type, &names))
        return NULL;
    Table *table = (Table *)type->tp_alloc(type, 0);
    if (table && (take_names(table, names) || take_over(table, view) || introduce(table))) Py_CLEAR(table);
    for (int i = 0; i < 5; i++) PyBuffer_Release(view + i);
    return (PyObject *)table;
}

static void table_dealloc(Table *table) {
    PyMem_Free(table->op);
    PyMem_Free(table->signal_of);
    PyMem_Free(table->path);
    PyMem_Free(table->swit);
    PyMem_Free(table->arm);
    PyMem_Free(table->slot);
    PyMem_Free(table->last);
    for (size_t i = 0; table->said && i < table->runs; i++) Py_XDECREF(table->said[i]);
    PyMem_Free(table->said);
    PyMem_Free(table->said_value);
    for (int i = 0; i < 4; i++) Py_XDECREF(table->names_of_columns[i]);
    for (int i = 0; i < 3; i++) Py_XDECREF(table->dtypes[i]);
    Py_XDECREF(table->view);
    Py_XDECREF(table->bad_input);
    Py_XDECREF(table->decoded);
    Py_XDECREF(table->refusals);
    Py_XDECREF(table->no_refusals);
    Py_XDECREF(table->names);
    Py_TYPE(table)->tp_free((PyObject *)table);
}

/* ---- memory of columns --------------------------------------------------------------------------------- */

/* What NumPy views the columns of a batch in.  It is writable and needs no release: NumPy's shortest way. */
typedef struct {
    PyObject_HEAD
    void *start;
    Py_ssize_t bytes;
} Memory;

static int memory_view(Memory *memory, Py_buffer *view, int flags) {
    return PyBuffer_FillInfo(view, (PyObject *)memory, memory->start, memory->bytes, 0, flags);
}

static void memory_dealloc(Memory *memory) {
    PyMem_RawFree(memory->start);
    PyObject_Free(memory);
}

static PyBufferProcs memory_buffer = {(getbufferproc)memory_view, NULL};

static PyTypeObject MemoryType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edge_agent.canbus._kernel.Memory",
    .tp_doc = "The columns raw, value, signal and frame, one after the other.",
    .tp_basicsize = sizeof(Memory),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)memory_dealloc,
    .tp_as_buffer = &memory_buffer,
};

/* Takes over `start`, also when it fails. */
static PyObject *memory_of(void *start, size_t bytes) {
    Memory *memory = PyObject_New(Memory, &MemoryType);
    if (!memory) {
        PyMem_RawFree(start);
        return NULL;
    }
    memory->start = start;
    memory->bytes = (Py_ssize_t)bytes;
    return (PyObject *)memory;
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
            most += table->path[run[i]].most;
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

/* Where the columns stand in memory for `rows`: raw, value, signal, frame. */
static inline size_t signals_at(size_t rows) { return 16 * rows; }
static inline size_t frames_at(size_t rows) { return 20 * rows + INT32_SLACK * sizeof(int32_t); }
static inline size_t bytes_of(size_t rows) { return 24 * rows + 2 * INT32_SLACK * sizeof(int32_t); }

static Columns columns_in(char *memory, size_t rows) {
    return (Columns){
        (int64_t *)memory,
        (double *)(memory + 8 * rows),
        (int32_t *)(memory + signals_at(rows)),
        (int32_t *)(memory + frames_at(rows)),
    };
}

/* Fewer rows came than there was room for: the columns move together. */
static void close_up(char *memory, size_t room, size_t rows) {
    memmove(memory + 8 * rows, memory + 8 * room, 8 * rows);
    memmove(memory + signals_at(rows), memory + signals_at(room), 4 * rows);
    memmove(memory + frames_at(rows), memory + frames_at(room), 4 * rows);
}

typedef struct {
    size_t refused[REASONS], broken, rows;
    char *memory; /* NULL where there was none to be had */
} Batch;

/* Everything that needs no GIL. */
static Batch decode_block(Table *table, const Frames *in, int changed_only, uint32_t *run) {
    Batch batch = {{0}, SIZE_MAX, 0, NULL};
    size_t room = runs_of(table, in, run, batch.refused);
    if (room > INT32_MAX) return batch;
    batch.memory = PyMem_RawMalloc(bytes_of(room));
    if (!batch.memory) return batch;
    Columns out = columns_in(batch.memory, room);
    batch.rows = decode_all(table, in, run, &out, changed_only, batch.refused, &batch.broken);
    if (batch.rows < room) {
        close_up(batch.memory, room, batch.rows);
        char *smaller = PyMem_RawRealloc(batch.memory, bytes_of(batch.rows));
        if (smaller) batch.memory = smaller;
    }
    return batch;
}

static PyObject *refusals(const Table *table, const size_t *refused) {
    size_t total = 0;
    for (int i = 0; i < REASONS; i++) total += refused[i];
    if (!total) return Py_NewRef(table->no_refusals);
    PyObject *counts = table->refusals->tp_alloc(table->refusals, REASONS);
    for (int i = 0; i < REASONS && counts; i++) {
        PyObject *count = PyLong_FromSize_t(refused[i]);
        if (!count) Py_CLEAR(counts);
        else PyTuple_SET_ITEM(counts, i, count);
    }
    return counts;
}

/* numpy.frombuffer(memory, dtype, rows, at) */
static PyObject *column(const Table *table, PyObject *memory, int type, PyObject *rows, size_t at) {
    PyObject *offset = PyLong_FromSize_t(at);
    if (!offset) return NULL;
    PyObject *args[] = {memory, table->dtypes[type], rows, offset};
    PyObject *array = PyObject_Vectorcall(table->view, args, 4, NULL);
    Py_DECREF(offset);
    return array;
}

/* Takes over the batch's memory. */
static PyObject *result_of(const Table *table, const Batch *batch) {
    enum { INT32, INT64, FLOAT64 };
    static const int types[4] = {INT32, INT64, FLOAT64, INT32};
    const size_t at[4] = {signals_at(batch->rows), 0, 8 * batch->rows, frames_at(batch->rows)};
    PyObject *memory = memory_of(batch->memory, bytes_of(batch->rows));
    PyObject *rows = PyLong_FromSize_t(batch->rows);
    PyObject *result = memory && rows ? table->decoded->tp_alloc(table->decoded, 5) : NULL;
    for (int i = 0; i < 5 && result; i++) {
        PyObject *part = i < 4 ? column(table, memory, types[i], rows, at[i]) : refusals(table, batch->refused);
        if (part)
            PyTuple_SET_ITEM(result, i, part);
        else
            Py_CLEAR(result);
    }
    Py_XDECREF(memory);
    Py_XDECREF(rows);
    return result;
}

static PyObject *decode_views(Table *table, const Py_buffer *view, int changed_only) {
    uint32_t on_stack[STACK_FRAMES], *run = on_stack;
    size_t frames = (size_t)view[0].len;
    if ((size_t)view[1].len != 4 * frames || (size_t)view[2].len != 4 * (frames + 1) || frames > INT32_MAX)
        return PyErr_Format(table->bad_input, "the columns of the frame block are not of one length");
    if (((uintptr_t)view[1].buf | (uintptr_t)view[2].buf) % 4)
        return PyErr_Format(table->bad_input, "the columns of the frame block are not aligned");
    if (frames > STACK_FRAMES && !(run = PyMem_Malloc(frames * sizeof *run))) return PyErr_NoMemory();
    Frames in = {view[0].buf, view[1].buf, view[2].buf, view[3].buf, frames, (size_t)view[3].len};
    PyThreadState *state = frames >= RELEASE_GIL_FRAMES ? PyEval_SaveThread() : NULL;
    Batch batch = decode_block(table, &in, changed_only, run);
    if (state) PyEval_RestoreThread(state);
    if (run != on_stack) PyMem_Free(run);
    if (!batch.memory) return PyErr_NoMemory();
    if (batch.broken == SIZE_MAX) return result_of(table, &batch);
    PyMem_RawFree(batch.memory);
    return PyErr_Format(table->bad_input, "frame %zu lies outside of the frame block's payload", batch.broken);
}

static PyObject *table_decode(Table *table, PyObject *const *args, Py_ssize_t count, PyObject *names) {
    Py_buffer view[4];
    PyObject *result = NULL;
    int views = 0, changed_only = 0;
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (count != 1 || named > 1 ||
        (named && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "changed_only")))
        return PyErr_Format(PyExc_TypeError, "decode(frames, *, changed_only=False)");
    if (named && (changed_only = PyObject_IsTrue(args[1])) < 0) return NULL;
    for (; views < 4; views++) {
        PyObject *array = PyObject_GetAttr(args[0], table->names_of_columns[views]);
        int failed = !array || PyObject_GetBuffer(array, view + views, PyBUF_SIMPLE);
        Py_XDECREF(array); /* the view holds it */
        if (failed) goto done;
    }
    result = decode_views(table, view, changed_only);
done:
    while (views-- > 0) PyBuffer_Release(view + views);
    return result;
}

/* ---- one frame, as a dict ------------------------------------------------------------------------------ */

/* Rows of one frame that need no memory of their own. */
enum { STACK_ROWS = 512 };

/* The dict of what a run's own ops said last, brought up to date: most signals of a bus repeat themselves, and
 * copying a dict is cheaper than growing one.  NULL with an error set. */
static PyObject *last_said(const Table *table, uint32_t number, const double *values) {
    const Path *run = table->path + number;
    PyObject *dict = table->said[number];
    int is_new = !dict;
    if (is_new && !(dict = PyDict_New())) return NULL;
    for (uint32_t i = 0; i < run->ops; i++) {
        double *before = table->said_value + run->first_op + i;
        if (!is_new && !memcmp(before, values + i, sizeof *before)) continue;
        PyObject *value = PyFloat_FromDouble(values[i]);
        PyObject *name = PyTuple_GET_ITEM(table->names, table->signal_of[run->first_op + i]);
        int failed = !value || PyDict_SetItem(dict, name, value);
        Py_XDECREF(value);
        if (failed) {
            if (is_new) Py_DECREF(dict);
            return NULL;
        }
        *before = values[i];
    }
    return table->said[number] = dict;
}

static PyObject *as_dict(const Table *table, uint32_t run, const uint8_t *data, size_t length) {
    int64_t on_stack[3 * STACK_ROWS + INT32_SLACK];
    char *memory = (char *)on_stack;
    size_t room = table->path[run].most;
    unsigned faults = 0;
    if (room > STACK_ROWS && !(memory = PyMem_Malloc(bytes_of(room)))) return PyErr_NoMemory();
    Columns out = columns_in(memory, room);
    size_t rows = decode(table, run, data, length, length, 0, &out, 0, &faults), row = 0;
    PyObject *dict;
    if (faults >> SHORT_FRAME & 1)
        dict = PyDict_New();
    else {
        PyObject *said = last_said(table, run, out.value);
        dict = said ? PyDict_Copy(said) : NULL;
        row = table->path[run].ops;
    }
    for (; row < rows && dict; row++) {
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
    {"decode", (PyCFunction)(void (*)(void))table_decode, METH_FASTCALL | METH_KEYWORDS,
     "decode(frames, *, changed_only=False) -> Decoded"},
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
    if (PyType_Ready(&TableType) < 0 || PyType_Ready(&MemoryType) < 0) return NULL;
    PyObject *module = PyModule_Create(&kernel_module);
    if (module && PyModule_AddObjectRef(module, "Table", (PyObject *)&TableType) < 0) Py_CLEAR(module);
    return module;
}
