//! Values of the language: what an expression gives and what a resource has.
//!
//! A [`Value`] is cheap to clone; collections are shared. Beside what Terraform's types hold, a value may be *known
//! after apply* ([`Kind::Unknown`]), and it carries [`Marks`] (sensitive, ephemeral) that travel with it through every
//! operation. An unknown value knows how it will be computed: its [`Residual`] is a closed term over the results of
//! named nodes, built by the evaluator as it goes, so that a plan's steps carry no source text and apply has nothing
//! to look up.

mod convert;
mod encode;
mod escape;
mod map;
mod marks;
mod number;
mod order;
mod path;
mod plain;
mod refinement;
mod residual;
mod reveal;
mod show;
mod text;
mod types;
mod unify;
#[expect(clippy::module_inception, reason = "the module's main noun")]
mod value;

pub use convert::{ConvertError, convert, unify_values};
pub use encode::{
    AGE, DecodeError, HMAC, Keep, Opener, Seal, Sealer, UNKNOWN, decode, encode, encode_kept, encode_shape,
    encode_type, encode_typed, encode_typed_kept, open_sealed, parse_type, without_seals,
};
pub use escape::escape;
pub use map::Map;
pub use marks::Marks;
pub use number::{ArithmeticError, NotANumber, Number};
pub use path::{Path, PathStep};
pub use plain::{from_json, to_json};
pub use refinement::Refinement;
pub use residual::{Deferred, Residual, Results, Sealed, Unfinished};
pub use reveal::reveal;
pub use show::show;
pub use text::normal;
pub use types::{Attribute, Type};
pub use unify::{conversion, unify};
pub use value::{Kind, Unknown, Value};
