//! Peers that change what they have passed while it is copied and checked.
