//! The ingress over real sockets on 127.0.0.1: real bytes from clients, real backends, tables made of real objects.

mod backend;
mod draining;
mod either_way;
mod failing;
mod http2;
mod limits;
mod names;
mod requests;
mod short;
mod smuggling;
mod tls;
mod tunnels;
mod world;
