//! The operator on a real API server, with etcd, the StatefulSet controller and the garbage collector; and with the real worker, which
//! a small kubelet runs as a process.

mod audit;
mod chart;
mod cloud;
mod control_plane;
mod definition;
mod kubectl;
mod kubelet;
mod life;
mod node;
mod objects;
mod odd;
mod rig;
mod rights;
mod trouble;
