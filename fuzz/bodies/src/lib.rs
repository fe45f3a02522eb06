//! Every parser of bytes from outside, as a function from any bytes to nothing: it must return, soon, without a panic.
//!
//! Where it stands: `fuzz/` runs each target under libFuzzer; this crate's tests run each over seeds, changed by a generator
//! with a fixed seed, so that no target rots. A new parser gets a [`Target`] here and its two lines in `fuzz/fuzz_targets`.
//! Bodies look for no file but in a temporary directory of their own, and send nothing anywhere.

pub mod api;
pub mod arp;
pub mod cluster;
pub mod cron;
pub mod dns;
pub mod image;
pub mod ingress;
pub mod mutate;
pub mod node;
pub mod requests;
mod seeds;

/// One thing that is fuzzed.
pub struct Target {
    /// Its name, as `cargo fuzz run` takes it.
    pub name: &'static str,
    /// What must return whatever the bytes are.
    pub body: fn(&[u8]),
    /// Where that is in this crate.
    pub path: &'static str,
    /// Good inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Inputs tried by the tests: fewer where one costs more.
    pub tries: usize,
}

macro_rules! targets {
    ($($name:literal $body:path, $seeds:path, $tries:literal;)*) => {
        /// All of them, by name.
        pub const TARGETS: &[Target] =
            &[$(Target { name: $name, body: $body, path: stringify!($body), seeds: $seeds, tries: $tries }),*];
    };
}

targets! {
    "api_apply" api::apply, seeds::pairs, 300;
    "api_object" api::object, seeds::pairs, 300;
    "api_patch" api::patch, seeds::patches, 1000;
    "api_protobuf" api::protobuf, seeds::protobuf, 2000;
    "api_request" requests::request, seeds::requests, 150;
    "api_selector" api::selector, seeds::selectors, 2000;
    "api_yaml" api::yaml, seeds::yaml, 200;
    "arp_packet" arp::packet, seeds::arp, 5000;
    "cluster_objects" cluster::objects, seeds::snapshot, 500;
    "credentials" api::credentials, seeds::credentials, 2000;
    "cron_schedule" cron::schedule, seeds::cron, 500;
    "dns_query" dns::query, seeds::dns_queries, 5000;
    "dns_reply" dns::reply, seeds::dns_replies, 5000;
    "image_archive" image::archive, seeds::archives, 100;
    "image_config" image::config, seeds::image_configs, 2000;
    "image_layer" image::layer, seeds::layers, 100;
    "image_name" image::name, seeds::image_names, 5000;
    "image_users" image::users, seeds::passwd, 500;
    "ingress_answer" ingress::answer, seeds::answers, 5000;
    "ingress_ask" ingress::ask, seeds::asks, 10000;
    "ingress_route" ingress::route, seeds::routes, 5000;
    "kubelet_log" node::log, seeds::logs, 2000;
    "kubelet_spdy" node::spdy, seeds::spdy, 500;
    "kubelet_websocket" node::message, seeds::messages, 2000;
}

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs a target over its seeds, then over as many inputs made of them; the same ones for the same `seed`. Panics with the
/// input that made it panic.
pub fn run(target: &Target, tries: usize, seed: u64) {
    let seeds = (target.seeds)();
    seeds.iter().for_each(|seed| (target.body)(seed));
    let mut random = mutate::Random(seed);
    for _ in 0..tries {
        let input = mutate::input(&mut random, &seeds);
        let caught = std::panic::catch_unwind(|| (target.body)(&input));
        assert!(caught.is_ok(), "{} fails on b\"{}\"", target.name, input.escape_ascii());
    }
}

#[cfg(test)]
mod tests;
