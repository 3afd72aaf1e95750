//! Steady visitors: clients that call all the time while an exercise does its worst.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::RunContext;
use crate::exercise::observe::Observer;

/// Where somebody is to call, how often, and what the answer has to be.
pub(super) struct Order {
    pub(super) url: String,
    pub(super) status: u16,
    /// On the cluster's clock, from an answer to the next call.
    pub(super) every: Duration,
}

/// Takes orders for visits; they begin at once and go on until the visitor is dropped.
pub(super) struct Orders(mpsc::UnboundedSender<Order>);

impl Orders {
    pub(super) fn give(&self, order: Order) {
        // There is nobody left to take it only once the exercise is over.
        let _ = self.0.send(order);
    }
}

/// Carries the orders out, all of them side by side.
pub(super) struct Visitor<'a> {
    context: &'a RunContext<'a>,
    observer: &'a Observer,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, observer: &'a Observer) -> (Orders, Self) {
        let (give, orders) = mpsc::unbounded_channel();
        let visitor = Self {
            context,
            observer,
            orders,
        };
        (Orders(give), visitor)
    }

    pub(super) async fn visits(self) -> Infallible {
        let Self {
            context,
            observer,
            mut orders,
        } = self;
        let mut visits = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(order) = orders.recv() => visits.push(keep_visiting(context, observer, order)),
                Some(never) = visits.next() => match never {},
                // No order will come any more, and none was given.
                else => std::future::pending().await,
            }
        }
    }
}

async fn keep_visiting(context: &RunContext<'_>, observer: &Observer, order: Order) -> Infallible {
    loop {
        let failure = visit(context, &order).await;
        observer.note(|seen| {
            seen.visits.all += 1;
            seen.visits.failures.extend(failure);
        });
        context.clock.sleep(order.every).await;
    }
}

/// One call; what was wrong with it, if anything was.
async fn visit(context: &RunContext<'_>, order: &Order) -> Option<String> {
    match context.caller.get(&order.url).await {
        Ok(answer) if answer.status().as_u16() == order.status => None,
        Ok(answer) => Some(format!(
            "{}: status {}",
            order.url,
            answer.status().as_u16()
        )),
        Err(error) => Some(format!("{error:#}")),
    }
}
