//! The rules, seen to fire on a plan that breaks each and to keep still on plans that the real planner makes.

mod broken;
mod drawn;
mod planned;
mod world;
