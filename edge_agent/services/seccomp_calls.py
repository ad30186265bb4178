"""The system calls of a service in a container: what programs need, by subject, and what only an attack needs.

    ALLOWED          files, memory, processes, time, sockets
    LEGACY[machine]  the older spellings that one architecture still has
    REFUSED          fail with EPERM; clone3 with ENOSYS, so that a C library falls back to clone
    (others)         fail with ENOSYS: whatever the next kernel brings

Rule 1: nothing is allowed that is not named here, and nothing is both allowed and refused.
Rule 2: what is allowed without a capability is here; what needs one is not, as no service has any.
"""


def _names(*texts: str) -> frozenset[str]:
    return frozenset(name for text in texts for name in text.split())


_FILES = """
    openat openat2 close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2
    lseek dup dup3 fcntl flock ioctl fstat newfstatat statx statfs fstatfs getdents64 getcwd chdir fchdir
    faccessat faccessat2 readlinkat linkat symlinkat unlinkat renameat renameat2 mkdirat truncate ftruncate
    fallocate fchmod fchmodat fchmodat2 fchown fchownat utimensat umask sync syncfs fsync fdatasync
    sync_file_range fadvise64 readahead sendfile copy_file_range splice tee vmsplice memfd_create
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr
    removexattr lremovexattr fremovexattr inotify_init1 inotify_add_watch inotify_rm_watch mknodat
    cachestat
"""
_WAITING = """
    ppoll pselect6 epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 eventfd2 signalfd4 pipe2
    timerfd_create timerfd_settime timerfd_gettime io_setup io_submit io_getevents io_pgetevents io_cancel
    io_destroy
"""
_MEMORY = """
    brk mmap munmap mremap mprotect madvise mincore msync mlock mlock2 munlock mlockall munlockall membarrier
    pkey_mprotect pkey_alloc pkey_free shmget shmat shmdt shmctl semget semop semtimedop semctl
    msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    map_shadow_stack
"""
_PROCESSES = """
    execve execveat exit exit_group wait4 waitid set_tid_address set_robust_list get_robust_list futex
    futex_waitv futex_wake futex_wait futex_requeue rseq sched_yield sched_getaffinity sched_setaffinity
    sched_getparam sched_setparam sched_getscheduler sched_setscheduler sched_getattr sched_setattr
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority setpriority
    ioprio_get ioprio_set getcpu prctl prlimit64 getrlimit setrlimit getrusage capget capset
    getpid getppid gettid getpgid setpgid getsid setsid pidfd_open pidfd_send_signal restart_syscall
    landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
"""
_IDENTITY = """
    getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid
    setresgid setgroups setfsuid setfsgid
"""
_SIGNALS = """
    kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack
"""
_TIME = """
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday times timer_create timer_settime
    timer_gettime timer_getoverrun timer_delete getitimer setitimer
"""
_SOCKETS = """
    socketpair bind listen accept accept4 connect getsockname getpeername sendto recvfrom sendmsg recvmsg
    sendmmsg recvmmsg setsockopt getsockopt shutdown
"""
_SYSTEM = """
    uname sysinfo getrandom get_mempolicy
"""
ALLOWED = _names(
    _FILES, _WAITING, _MEMORY, _PROCESSES, _IDENTITY, _SIGNALS, _TIME, _SOCKETS, _SYSTEM
)

_X86_64_ONLY = """
    access alarm arch_prctl chmod chown creat dup2 epoll_create epoll_ctl_old epoll_wait epoll_wait_old
    eventfd fork futimesat getdents getpgrp inotify_init lchown link lstat mkdir mknod open pause pipe
    poll readlink rename rmdir select signalfd stat symlink time unlink utime utimes vfork
"""
LEGACY = {"x86_64": _names(_X86_64_ONLY), "aarch64": _names("sync_file_range2")}

_OTHER_ROOTS = """
    mount umount2 mount_setattr move_mount open_tree open_tree_attr fsopen fsmount fsconfig fspick statmount
    listmount pivot_root chroot unshare setns swapon swapoff quotactl quotactl_fd acct sethostname
    setdomainname name_to_handle_at open_by_handle_at lsm_set_self_attr
"""
_OTHER_PROCESSES = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd
    migrate_pages move_pages mbind set_mempolicy set_mempolicy_home_node
"""
_KERNEL_DOORS = """
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key
    kexec_load kexec_file_load init_module finit_module delete_module reboot syslog lookup_dcookie vhangup
    memfd_secret fanotify_init fanotify_mark nfsservctl uselib ustat sysfs modify_ldt iopl ioperm
"""
_CLOCKS = """
    settimeofday clock_settime clock_adjtime adjtimex
"""
REFUSED = _names(_OTHER_ROOTS, _OTHER_PROCESSES, _KERNEL_DOORS, _CLOCKS)

# clone(2) makes threads and processes, but no namespaces: user, mount, cgroup, UTS, IPC, pid, network.
CLONE_NEW = (
    0x1000_0000,
    0x0002_0000,
    0x0200_0000,
    0x0400_0000,
    0x0800_0000,
    0x2000_0000,
    0x4000_0000,
)

# Unix, IPv4, IPv6, netlink.  Not CAN (29), packets (17) and virtual machines (40): on the vehicle's own
# network, where a service may be let, they lead to its buses.
SOCKET_FAMILIES = (1, 2, 10, 16)

# Linux, and the question what it is.  (Others turn protections of memory off.)
PERSONALITIES = (0, 0xFFFF_FFFF)
