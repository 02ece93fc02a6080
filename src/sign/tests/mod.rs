//! What the signatures promise: the decision against a model, and formats against everything that they are not.

mod formats;
mod model;
