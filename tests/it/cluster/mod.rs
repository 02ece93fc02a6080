//! A Kubernetes API server for tests, in this process: what it answers is what a real one (1.36) answers, which
//! `cluster_contract.rs` holds against both.
//!
//! ```ignore
//! let cluster = Cluster::start().await;
//! let control = cluster.control();
//! sandbox.write("kubeconfig", &cluster.kubeconfig("test"));
//! control.put("somebody", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {…}}));
//! control.fault(On::verb("apply").resource("deployments").nth(2), Fault::CloseAfter);
//! // … run what is tested …
//! assert_eq!(control.count(&On::verb("list").resource("pods")), 1);
//! control.update_status("deployments", "shop", "web", &json!({"observedGeneration": 1, "replicas": 2}));
//! ```
//!
//! It is the API server with the garbage collector, the namespace controller and the quota's; no pods are made from
//! Deployments: a test plays the other controllers by `Control`. Nothing is written to disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod schema;
mod status;
mod fields;
mod apply;
mod patch;
mod decode;
mod defaults;
mod custom;
mod validate;
mod validate_pod;
mod route;
mod access;
mod store;
mod prepare;
mod admit;
mod lifecycle;
mod write;
mod read;
mod discovery;
mod control;
mod server;
mod any;
mod real;
mod transcript;
pub(crate) mod controllers;
mod controllers_tests;

pub(crate) use access::Rule;
pub(crate) use any::{AnyCluster, Reply};
pub(crate) use control::{Control, Fault, On, Seen};
pub(crate) use real::RealCluster;
pub(crate) use server::Cluster;
pub(crate) use transcript::differences;
