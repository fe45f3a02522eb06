//! The packet filter of the socket: a classic BPF program, so that a busy network's ARP never wakes the process.
//!
//! It lets through requests and replies for IPv4 over Ethernet that speak of an address between the first and the last
//! one that is answered for. It only saves work: whatever passes is parsed and judged again.

use std::net::Ipv4Addr;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

use crate::arp::LENGTH;

/// Hardware type Ethernet, protocol IPv4.
const KINDS: u32 = 0x0001_0800;
/// Lengths of the addresses, and the operation.
const REQUEST: u32 = 0x0604_0001;
const REPLY: u32 = 0x0604_0002;
/// Where the addresses are.
const SENDER: u32 = 14;
const TARGET: u32 = 24;

/// The program for addresses from `first` to `last`, in a packet that begins with its ARP header.
pub fn program(first: Ipv4Addr, last: Ipv4Addr) -> Vec<sock_filter> {
    let (first, last) = (first.into(), last.into());
    // Jumps count from the next instruction.
    vec![
        load(0),
        jump(BPF_JEQ, KINDS, 0, 9),
        load(4),
        jump(BPF_JEQ, REQUEST, 1, 0),
        jump(BPF_JEQ, REPLY, 0, 6),
        load(TARGET),
        jump(BPF_JGT, last, 1, 0),
        jump(BPF_JGE, first, 4, 0),
        load(SENDER),
        jump(BPF_JGT, last, 1, 0),
        jump(BPF_JGE, first, 1, 0),
        answer(0),
        answer(LENGTH as u32),
    ]
}

/// The program that lets nothing through.
pub fn nothing() -> Vec<sock_filter> {
    vec![answer(0)]
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

fn jump(test: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    instruction(BPF_JMP | test | BPF_K, then, otherwise, value)
}

fn answer(length: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, length)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // Every code is below 256.
    sock_filter { code: code as u16, jt, jf, k }
}
