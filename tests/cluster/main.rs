//! The built binary in a network namespace of its own, driven by the real kubectl, with real containers and packets.

mod harness;

mod api_proxy;
mod budgets;
mod clusterip;
mod debug;
mod durability;
mod environment;
mod explain;
mod grpc;
mod guides;
mod host_ports;
mod ingress;
mod kubectl;
mod names;
mod node_rights;
mod outside;
mod pods;
mod pressure;
mod proxy;
mod quota;
mod rbac;
mod restart;
mod rollout;
mod scheduling;
mod sockets;
mod standalone;
mod startup;
mod uplink;
mod verbs;
mod verbs_on_pods;
mod volumes;
mod workloads;
