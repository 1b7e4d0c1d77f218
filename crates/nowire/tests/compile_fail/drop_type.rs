use nowire::Shared;

#[derive(Shared)]
struct Ticket {
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        println!("{} is void", self.number);
    }
}

#[derive(Shared)]
struct Pair<A, B> {
    first: A,
    second: B,
}

impl<A, B> Drop for Pair<A, B> {
    fn drop(&mut self) {}
}

fn main() {}
