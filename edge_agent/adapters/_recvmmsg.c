/* CAN frames off a socket, up to 256 in one system call, straight into columns.

   A datagram is Linux's struct can_frame (16 bytes) or struct canfd_frame (72 bytes):

       can_id:4  length:1  flags:1  -:2  data:8 or 64         (host byte order)

   Rule 1: nothing waits here: the socket gives what it has.
   Rule 2: the interpreter lock is not held while the kernel copies and while columns are written.
   Rule 3: a datagram that is no frame is counted and left out.
   socketcan.py has the same in Python, for where this is not compiled. */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    BATCH = 256,        /* source.py: LIVE_BLOCK_MAX_FRAMES */
    CLASSIC_BYTES = 16,
    FD_BYTES = 72,
    DATA_AT = 8,
    CONTROL_BYTES = 128 /* a timestamping message (72) and an overflow count (20) */
};

/* Bits of FrameBlock.flags, and of canfd_frame.flags. */
enum { FD = 1, BIT_RATE_SWITCH = 2, ERROR_STATE = 4, SENT_HERE = 8 };
enum { CANFD_BRS_BIT = 1, CANFD_ESI_BIT = 2 };

static const uint32_t REMOTE = 0x40000000u;

typedef struct {
    PyObject_HEAD
    int is_busy;
    struct mmsghdr message[BATCH];
    struct iovec vector[BATCH];
    unsigned char frame[BATCH][FD_BYTES];
    _Alignas(struct cmsghdr) unsigned char control[BATCH][CONTROL_BYTES];
    uint32_t can_id[BATCH];
    int64_t time_ns[BATCH];
    unsigned char flags[BATCH];
    uint32_t offset[BATCH + 1];
    unsigned char payload[BATCH * 64];
    Py_ssize_t frames;
    long malformed;
    int64_t overflow; /* the kernel's count of frames it had no room for; -1: it did not say */
} Receiver;

static int64_t stamp_ns(const unsigned char *at)
{
    struct timespec stamp;
    memcpy(&stamp, at, sizeof stamp);
    return (int64_t)stamp.tv_sec * 1000000000 + stamp.tv_nsec;
}

/* Read stamp and overflow count from what the kernel says beside a datagram; 0 when there is no stamp. */
static int64_t read_control(Receiver *self, struct msghdr *header)
{
    int64_t time_ns = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        size_t length = c->cmsg_len - CMSG_LEN(0);
        const unsigned char *data = CMSG_DATA(c);
        if (c->cmsg_type == SO_TIMESTAMPNS && length >= sizeof(struct timespec)) {
            time_ns = stamp_ns(data);
        } else if (c->cmsg_type == SO_TIMESTAMPING && length >= 3 * sizeof(struct timespec)) {
            int64_t hardware_ns = stamp_ns(data + 2 * sizeof(struct timespec));
            time_ns = hardware_ns != 0 ? hardware_ns : stamp_ns(data);
        } else if (c->cmsg_type == SO_RXQ_OVFL && length >= sizeof(uint32_t)) {
            uint32_t count;
            memcpy(&count, data, sizeof count);
            self->overflow = count;
        }
    }
    return time_ns;
}

static void read_columns(Receiver *self, int received)
{
    int64_t now_ns = 0;
    uint32_t end = 0;
    Py_ssize_t n = 0;
    self->malformed = 0;
    self->overflow = -1;
    self->offset[0] = 0;
    for (int i = 0; i < received; i++) {
        struct msghdr *header = &self->message[i].msg_hdr;
        const unsigned char *frame = self->frame[i];
        unsigned int size = self->message[i].msg_len;
        int is_fd = size == FD_BYTES;
        int64_t time_ns = read_control(self, header);
        uint32_t can_id;
        unsigned int length = frame[4];
        if ((size != CLASSIC_BYTES && !is_fd) || (header->msg_flags & MSG_TRUNC) != 0 ||
            length > (is_fd ? 64u : 8u)) {
            self->malformed++;
            continue;
        }
        memcpy(&can_id, frame, sizeof can_id);
        if (can_id & REMOTE)
            length = 0; /* it says how many bytes it wants, it has none */
        if (time_ns == 0) {
            if (now_ns == 0) {
                struct timespec now;
                clock_gettime(CLOCK_REALTIME, &now);
                now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
            }
            time_ns = now_ns;
        }
        self->can_id[n] = can_id;
        self->time_ns[n] = time_ns;
        self->flags[n] = (unsigned char)((is_fd ? FD : 0) |
                                         (is_fd && (frame[5] & CANFD_BRS_BIT) ? BIT_RATE_SWITCH : 0) |
                                         (is_fd && (frame[5] & CANFD_ESI_BIT) ? ERROR_STATE : 0) |
                                         ((header->msg_flags & MSG_CONFIRM) ? SENT_HERE : 0));
        memcpy(self->payload + end, frame + DATA_AT, length);
        end += length;
        self->offset[++n] = end;
    }
    self->frames = n;
}

static PyObject *bytes_of(const void *data, size_t size)
{
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

PyDoc_STRVAR(receive_doc,
"receive(fd) -> (frames, can_id, time_ns, flags, offset, payload, malformed, overflow) | None\n\n"
"Take at most 256 datagrams without waiting; None when there are none.  Raises OSError.");

static PyObject *receive(Receiver *self, PyObject *argument)
{
    int fd = (int)PyLong_AsLong(argument);
    int received, failure;
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    if (self->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "a Receiver serves one thread at a time");
        return NULL;
    }
    self->is_busy = 1;
    Py_BEGIN_ALLOW_THREADS
    for (int i = 0; i < BATCH; i++)
        self->message[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    do {
        received = recvmmsg(fd, self->message, BATCH, MSG_DONTWAIT, NULL);
        failure = errno;
    } while (received < 0 && failure == EINTR);
    if (received > 0)
        read_columns(self, received);
    Py_END_ALLOW_THREADS
    self->is_busy = 0;
    if (received <= 0) {
        if (received == 0 || failure == EAGAIN || failure == EWOULDBLOCK)
            Py_RETURN_NONE;
        errno = failure;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    size_t n = (size_t)self->frames;
    return Py_BuildValue("nNNNNNlL", self->frames,
                         bytes_of(self->can_id, n * sizeof self->can_id[0]),
                         bytes_of(self->time_ns, n * sizeof self->time_ns[0]),
                         bytes_of(self->flags, n),
                         bytes_of(self->offset, (n + 1) * sizeof self->offset[0]),
                         bytes_of(self->payload, self->offset[n]),
                         self->malformed, (long long)self->overflow);
}

static PyObject *receiver_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "", names))
        return NULL;
    Receiver *self = (Receiver *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    for (int i = 0; i < BATCH; i++) {
        self->vector[i].iov_base = self->frame[i];
        self->vector[i].iov_len = FD_BYTES;
        self->message[i].msg_hdr.msg_iov = &self->vector[i];
        self->message[i].msg_hdr.msg_iovlen = 1;
        self->message[i].msg_hdr.msg_control = self->control[i];
    }
    return (PyObject *)self;
}

static PyMethodDef receiver_methods[] = {
    {"receive", (PyCFunction)receive, METH_O, receive_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject receiver_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edge_agent.adapters._recvmmsg.Receiver",
    .tp_doc = PyDoc_STR("The buffers of one socket."),
    .tp_basicsize = sizeof(Receiver),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = receiver_new,
    .tp_methods = receiver_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_recvmmsg",
    .m_doc = PyDoc_STR("CAN frames off a socket, many in one system call."),
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__recvmmsg(void)
{
    PyObject *self = PyModule_Create(&module);
    if (self == NULL)
        return NULL;
    if (PyModule_AddType(self, &receiver_type) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}
