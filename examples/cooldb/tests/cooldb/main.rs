//! The store, its services and the program that compares them.

mod answers;
mod compare;
mod grpc;
mod native;
mod store;
