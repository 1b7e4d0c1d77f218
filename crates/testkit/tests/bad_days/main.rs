//! Processes that are killed, stopped, restarted or refused, calls that are given
//! up, and peers that sleep at the wrong moment: nobody hangs, nothing is lost.

mod given_up;
mod killed;
mod limits;
mod restarted;
mod scene;
mod starved;
mod stopped;
mod wakened;
