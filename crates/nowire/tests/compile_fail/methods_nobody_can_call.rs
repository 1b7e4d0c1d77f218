#[nowire::service]
trait Wishes<T> {
    fn generic<U>(&self, item: U);
    fn change(&mut self);
    fn edit(&self, order: &mut u64);
    fn text(&self, text: &str);
    fn choose(&self, how: &dyn Fn(u64) -> bool);
    async fn found<'r>(&self, out: &'r Scope) -> u64;
    fn list(&self, items: &mut Replies<u64>);
    async fn listed(&self, items: &mut Replies<u64>);
    #[nowire(pool)]
    fn taken(&self, items: AsyncRequests<u64>);
    #[nowire(quickly)]
    fn run(&self);
    fn timeout(&self);
    const LIMIT: u64;
}

fn main() {}
