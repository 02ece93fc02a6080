//! Image registries: from a reference that people write to the digest that is deployed.
//!
//! [`resolve`] is all there is: it asks the registry which manifest a tag names at this moment, or whether a digest is
//! there, and gives `repository@sha256:…`. It reads only, so it may be repeated at any time.
//!
//! What it trusts, and what not: a digest that only a header names is the registry's own word, which is what a tag is;
//! as soon as a body is at hand it is hashed here and the header has to agree. Credentials are those of `docker login`.
//! They go to the registry that they are for and to the token server that this registry names, by TLS or on this
//! machine only, never along a redirect to another origin, and no error or `Debug` output shows them. For the same
//! reason no free text of a server is repeated in an error, only codes that the specification lists.
//!
//! Sources: the OCI distribution specification 1.1 ("Pulling manifests", "Error codes"), the token authentication
//! specification and the reference grammar of the distribution project, the credential helper protocol of Docker.

mod reference;
mod resolve;
mod registry;
mod transport;
mod challenge;
mod credentials;
mod secret;
mod error;

pub use error::ResolveError;
pub use reference::Reference;
pub use resolve::{Options, Resolved, resolve};
