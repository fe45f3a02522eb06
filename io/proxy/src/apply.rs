//! Tables into the kernel: what is there is brought to what is wanted, in one transaction for both families.
//!
//! The first time the whole table is replaced, since nobody knows what an earlier process left: old and new swap at one
//! instant, translated connections live in conntrack, which is not touched, and which client has an affinity to which
//! backend is carried over. From then on only what changed is sent.
//! After any error the next attempt replaces the table again.

use std::io;
use std::sync::Arc;

use kelson_model::NodeView;
use kelson_tables::nft::{Command, Layout};
use kelson_tables::{Changes, Family, Tables, diff};

use crate::attributes::{Head, Writer};
use crate::encode::{GET_TABLE, REQUEST, TABLE, batch, describe, is_fixed, protocol_family};
use crate::socket::Socket;
use crate::{Error, affinity};

/// What one call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Whether the whole table was replaced.
    pub replaced: bool,
    /// What changed for packets, against the last tables applied; all of it when the table was replaced.
    pub changes: Changes,
}

/// The kernel's table in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
    state: Option<State>,
}

/// What the kernel holds.
#[derive(Debug)]
struct State {
    tables: Arc<Tables>,
    layouts: Vec<(Family, Layout)>,
}

impl Nftables {
    /// Opens the way to the kernel; changes nothing.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open()?, state: None })
    }

    /// Brings the kernel to `tables`. On an error the kernel holds what it held before.
    pub fn apply(&mut self, tables: &Arc<Tables>) -> Result<Applied, Error> {
        let state = self.state.take();
        let (applied, layouts, mut commands) = match &state {
            Some(state) if continues(state, tables) => next(state, tables),
            _ => afresh(tables),
        };
        if applied.replaced {
            for (family, commands) in &mut commands {
                commands.extend(affinity::carry_over(&mut self.socket, *family));
            }
            let held = state.iter().flat_map(|state| &state.layouts).map(|(family, _)| *family);
            let dropped: Vec<Family> = held.filter(|f| !layouts.iter().any(|(kept, _)| kept == f)).collect();
            commands.extend(dropped.into_iter().map(removal));
        }
        send(&mut self.socket, &commands, applied.replaced)?;
        self.state = Some(State { tables: tables.clone(), layouts });
        Ok(applied)
    }

    /// Whether the kernel has a table of ours, whoever made it.
    pub fn is_installed(&mut self) -> Result<bool, Error> {
        let mut w = Writer::default();
        let family = protocol_family(Family::V4);
        let head = Head { kind: GET_TABLE, flags: REQUEST, sequence: 1, family, resource: 0 };
        w.message(head, |w| w.name(1, TABLE));
        match self.socket.transact(&w.into_bytes())?.iter().find(|answer| answer.error != 0) {
            None => Ok(true),
            Some(answer) if answer.error == libc::ENOENT => Ok(false),
            Some(answer) => {
                let source = io::Error::from_raw_os_error(answer.error);
                Err(Error::Refused {
                    asked: format!("to say whether table {TABLE} exists"),
                    fixed: true,
                    source,
                })
            }
        }
    }

    /// Forgets what the kernel holds: the next call replaces the table.
    pub fn forget(&mut self) {
        self.state = None;
    }
}

/// Removes every trace of the proxy from this thread's network namespace.
pub fn destroy() -> Result<(), Error> {
    send(&mut Socket::open()?, &[Family::V4, Family::V6].map(removal), true)
}

fn removal(family: Family) -> (Family, Vec<Command>) {
    (family, vec![Command::AddTable, Command::DeleteTable])
}

/// Whether a change of some elements leads from `state` to `tables`.
fn continues(state: &State, tables: &Tables) -> bool {
    state.tables.node == tables.node && !state.layouts.iter().any(|(_, layout)| layout.is_crowded())
}

type Step = (Applied, Vec<(Family, Layout)>, Vec<(Family, Vec<Command>)>);

fn next(state: &State, tables: &Tables) -> Step {
    let changes = diff(&state.tables, tables);
    let updates = state.layouts.iter().map(|(family, layout)| (*family, layout.update(&changes, tables)));
    let (layouts, commands) = updates.map(|(f, (layout, commands))| ((f, layout), (f, commands))).unzip();
    (Applied { replaced: false, changes }, layouts, commands)
}

fn afresh(tables: &Tables) -> Step {
    let changes = diff(&Tables::default(), tables);
    let fresh = families(tables).into_iter().map(|family| (family, Layout::replace(family, tables)));
    let (layouts, commands) = fresh.map(|(f, (layout, commands))| ((f, layout), (f, commands))).unzip();
    (Applied { replaced: true, changes }, layouts, commands)
}

/// IPv4 always; IPv6 where the node has anything of it.
fn families(tables: &Tables) -> Vec<Family> {
    let node = &tables.node;
    let ranges = node.service_cidrs.iter().chain(&node.pod_cidrs).map(|range| range.address);
    let dual = ranges.chain(node.addresses.iter().copied()).any(|address| address.is_ipv6());
    if dual { vec![Family::V4, Family::V6] } else { vec![Family::V4] }
}

/// Tables that guard the node's ranges and serve nothing, for the time before the first snapshot.
pub(crate) fn guard(node: &NodeView, options: &kelson_tables::Options) -> Arc<Tables> {
    kelson_tables::compile(&kelson_model::Snapshot::default(), node, options).0
}

fn send(socket: &mut Socket, commands: &[(Family, Vec<Command>)], replacing: bool) -> Result<(), Error> {
    let Some(batch) = batch(commands) else { return Ok(()) };
    let answers = socket.transact(&batch.bytes)?;
    if let Some(refusal) = answers.iter().find(|answer| answer.error != 0) {
        let asked = usize::try_from(refusal.sequence).ok().and_then(|sequence| batch.asked.get(sequence));
        let command = asked.map(|(family, n)| &commands[*family].1[*n]);
        return Err(Error::Refused {
            asked: command.map_or_else(|| "a batch".into(), describe),
            // A rule of a picking chain may come with any update, and names sets that somebody may have removed.
            fixed: command.is_some_and(is_fixed) && replacing,
            source: io::Error::from_raw_os_error(refusal.error),
        });
    }
    if answers.is_empty() {
        return Err(Error::Receive(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}
