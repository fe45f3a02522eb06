// Translation of a Service's address as a program calls connect(): no packet carries the ClusterIP, so none is rewritten.
//
// Attached to the control group of the node's pods. It turns a TCP connect() to a Service port into one to a backend
// drawn at random, and remembers at the socket what was asked for, so that getpeername() goes on to say that. Whatever
// it does not find it leaves alone, and nftables, which has the same tables and more, looks after it.
//
// All numbers are in network byte order, except ids, counts and indices. Layouts are mirrored in src/layout.rs; `peers`
// outlives the program that made it: whoever changes `struct peer` gives its pin another name.

// What the kernel promises its programs, as linux/bpf.h and linux/in.h say it: so the object depends on no header.
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct bpf_sock_addr {
	u32 user_family;
	u32 user_ip4;
	u32 user_ip6[4];
	u32 user_port;
	u32 family;
	u32 type;
	u32 protocol;
	u32 msg_src_ip4;
	u32 msg_src_ip6[4];
	void *sk __attribute__((aligned(8)));
};

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_SK_STORAGE = 24, BPF_F_NO_PREALLOC = 1, SK_STORAGE_CREATE = 1, TCP = 6 };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static u32 (*random32)(void) = (void *)7;
static void *(*storage_get)(void *map, void *sk, void *value, u64 flags) = (void *)107;
static long (*storage_delete)(void *map, void *sk) = (void *)108;

#define SEC(name) __attribute__((section(name), used))
#define FIELD(name, value) int(*name)[value]
#define TYPE(name, type) type *name

struct endpoint {
	u32 address;
	u16 port;
	u16 zero;
};

// What a Service port leads to: the backends `{id, 0}` to `{id, count - 1}`. An id is never used twice.
struct choice {
	u64 id;
	u32 count;
	u32 zero;
};

struct slot {
	u64 id;
	u32 index;
	u32 zero;
};

struct peer {
	struct endpoint service;
	struct endpoint backend;
};

struct {
	FIELD(type, BPF_MAP_TYPE_HASH);
	FIELD(max_entries, 65536);
	FIELD(map_flags, BPF_F_NO_PREALLOC);
	TYPE(key, struct endpoint);
	TYPE(value, struct choice);
} services SEC(".maps");

struct {
	FIELD(type, BPF_MAP_TYPE_HASH);
	FIELD(max_entries, 131072);
	FIELD(map_flags, BPF_F_NO_PREALLOC);
	TYPE(key, struct slot);
	TYPE(value, struct endpoint);
} backends SEC(".maps");

// Goes with the socket, so it is bounded by their number and never forgotten early.
struct {
	FIELD(type, BPF_MAP_TYPE_SK_STORAGE);
	FIELD(map_flags, BPF_F_NO_PREALLOC);
	TYPE(key, int);
	TYPE(value, struct peer);
} peers SEC(".maps");

#define GO_ON 1

// Draws a backend for what is asked for. The kernel may reuse what user space removes while it is read here; but a
// Service that still leads to the same backends afterwards had none of them removed before.
static __attribute__((always_inline)) int draw(const struct endpoint *service, struct endpoint *drawn)
{
	const struct choice *choice = map_lookup(&services, service);
	if (!choice)
		return 0;
	u64 id = choice->id;
	struct slot slot = { .id = id, .index = ((u64)random32() * choice->count) >> 32 };
	const struct endpoint *backend = map_lookup(&backends, &slot);
	if (!backend)
		return 0;
	*drawn = *backend;
	choice = map_lookup(&services, service);
	return choice && choice->id == id;
}

SEC("cgroup/connect4") int kelson_connect4(struct bpf_sock_addr *call)
{
	if (call->protocol != TCP)
		return GO_ON;
	struct endpoint service = { .address = call->user_ip4, .port = call->user_port };
	struct endpoint backend;
	if (!draw(&service, &backend)) {
		// The socket may have been connected to a Service before.
		storage_delete(&peers, call->sk);
		return GO_ON;
	}
	struct peer *peer = storage_get(&peers, call->sk, 0, SK_STORAGE_CREATE);
	if (!peer)
		return GO_ON;
	peer->service = service;
	peer->backend = backend;
	call->user_ip4 = backend.address;
	call->user_port = backend.port;
	return GO_ON;
}

SEC("cgroup/getpeername4") int kelson_getpeername4(struct bpf_sock_addr *call)
{
	struct peer *peer = storage_get(&peers, call->sk, 0, 0);
	if (peer && peer->backend.address == call->user_ip4 && peer->backend.port == (u16)call->user_port) {
		call->user_ip4 = peer->service.address;
		call->user_port = peer->service.port;
	}
	return GO_ON;
}

// No function it calls asks for the GPL.
char terms[] SEC("license") = "Apache-2.0";
