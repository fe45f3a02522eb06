//! Which system calls a container may make.
//!
//! The default is the set container engines agree on (docker's and containerd's profile): everything a program needs
//! that is not a way to the kernel's administration; some of that opens with the capability that governs it. A call
//! that is not listed fails with EPERM; `clone3`, whose arguments a filter cannot read, with ENOSYS, so that libc falls
//! back to `clone`, whose namespace flags are checked.

use crate::config::{ContainerConfig, Seccomp};
use serde_json::{Value, json};
use std::path::Path;

/// Allowed whatever the capabilities. Names the running architecture lacks are passed over when the filter is built.
const ALWAYS: &str = "
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
    clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
    epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
    fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid
    getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl
    ioprio_get ioprio_set ipc kcmp kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
    lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek
    lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod
    mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync
    munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_getfd
    pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64
    preadv preadv2 prlimit64 process_madvise process_mrelease process_vm_readv process_vm_writev pselect6
    pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
    recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall
    rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
    semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area
    set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid
    setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
    sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat
    sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
    timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
    timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
    utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

/// What each capability opens.
const BY_CAPABILITY: [(&str, &str); 13] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
         quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module query_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: &[&str] = &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
#[cfg(target_arch = "x86_64")]
const OF_ARCHITECTURE: &str = "arch_prctl modify_ldt";
#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: &[&str] = &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
#[cfg(target_arch = "aarch64")]
const OF_ARCHITECTURE: &str = "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURES: &[&str] = &["SCMP_ARCH_NATIVE"];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OF_ARCHITECTURE: &str = "";

/// CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: what `clone` may not ask for without CAP_SYS_ADMIN.
const NAMESPACE_FLAGS: u64 = 0x7E02_0000;
/// `personality` values that only choose how a program sees its own memory and kernel version.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Sockets to the hypervisor.
const AF_VSOCK: u64 = 40;
const ENOSYS: u32 = 38;
/// A profile of the node larger than this is no profile.
const PROFILE_MAX: u64 = 1 << 20;

/// The OCI profile for a container, `None` when it may make every call.
pub fn profile(config: &ContainerConfig, capabilities: &[String]) -> Result<Option<Value>, String> {
    match &config.seccomp {
        _ if config.privileged => Ok(None),
        Seccomp::Unconfined => Ok(None),
        Seccomp::RuntimeDefault => Ok(Some(default(capabilities))),
        Seccomp::Localhost(path) => read(path).map(Some),
    }
}

fn read(path: &Path) -> Result<Value, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot load seccomp profile {path:?}: {error}");
    let size = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if size > PROFILE_MAX {
        return Err(cannot(&format!("{size} bytes are too many")));
    }
    let text = std::fs::read(path).map_err(|error| cannot(&error))?;
    serde_json::from_slice(&text).map_err(|error| cannot(&error))
}

/// The profile engines agree on, for a container with these capabilities.
pub fn default(capabilities: &[String]) -> Value {
    let has = |wanted: &str| capabilities.iter().any(|name| name == wanted);
    let mut names: Vec<&str> = ALWAYS.split_whitespace().chain(OF_ARCHITECTURE.split_whitespace()).collect();
    for (capability, opened) in BY_CAPABILITY {
        if has(capability) {
            names.extend(opened.split_whitespace());
        }
    }
    names.sort_unstable();
    names.dedup();
    let allow = "SCMP_ACT_ALLOW";
    let mut rules = vec![json!({ "names": names, "action": allow })];
    rules.extend(PERSONALITIES.map(|value| rule("personality", allow, 0, value, "SCMP_CMP_EQ")));
    rules.push(rule("socket", allow, 0, AF_VSOCK, "SCMP_CMP_NE"));
    if !has("CAP_SYS_ADMIN") {
        // s390 swaps the first two arguments of clone.
        let flags_at = if cfg!(target_arch = "s390x") { 1 } else { 0 };
        let mut clone = rule("clone", allow, flags_at, NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ");
        clone["args"][0]["valueTwo"] = json!(0);
        rules.push(clone);
        rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": ARCHITECTURES,
        "syscalls": rules,
    })
}

fn rule(name: &str, action: &str, index: usize, value: u64, op: &str) -> Value {
    json!({ "names": [name], "action": action, "args": [{ "index": index, "value": value, "op": op }] })
}
