//! Questions of one node to the others.

use ::cluster::{
    engine::fake::Faults,
    name::NodeName,
    question::{Collector, Refusal},
};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::relaying::questions::{Ask, Asked, NotAsked, REPLIES, Reply, WITHIN};

impl Node {
    /// Answers each question with its text and this answer.
    fn answers(&mut self, answer: impl Into<String>) {
        let (desk, answer) = (self.desk.take().unwrap(), answer.into());
        actix_rt::spawn(desk.serve(move |request| {
            let text = format!("{request}: {answer}");
            async move { Some(text) }
        }));
    }

    /// Never answers the question that it has taken.
    fn is_stuck(&mut self) {
        actix_rt::spawn(self.desk.take().unwrap().serve(|_| std::future::pending()));
    }

    async fn asks(&self) -> (Result<Vec<NodeName>, NotAsked>, mpsc::Receiver<Reply>) {
        let (asked, told) = oneshot::channel();
        let (replies, came) = mpsc::channel(REPLIES);
        self.cluster.signal_quietly(Ask { request: "question".to_owned(), asked, replies }).unwrap();
        let Asked { own, nodes } = told.await.unwrap();
        assert_eq!(own, self.name);
        (
            nodes.map(|mut nodes| {
                nodes.sort();
                nodes
            }),
            came,
        )
    }
}

/// What came within the time of a command, from each node.
async fn all(mut came: mpsc::Receiver<Reply>) -> Vec<(String, Result<String, Refusal>)> {
    let mut collectors = std::collections::BTreeMap::<NodeName, Collector>::new();
    let mut answers = Vec::new();
    let deadline = tokio::time::Instant::now() + WITHIN;
    while let Ok(Some(Reply { node, part })) = tokio::time::timeout_at(deadline, came.recv()).await {
        match part {
            Ok(part) => {
                let text = collectors.entry(node.clone()).or_default().add(part);
                answers.extend(text.map(|text| (node.to_string(), Ok(String::from_utf8(text).unwrap()))));
            }
            Err(refusal) => answers.push((node.to_string(), Err(refusal))),
        }
    }
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    answers
}

#[actix::test]
async fn all_other_nodes_are_asked_and_answer() {
    let world = World::new(1, Faults::none());
    let [a, mut b, mut c] = world.nodes(["a", "b", "c"]).await;
    b.answers("yes");
    c.answers("no".repeat(100_000));
    let (asked, came) = a.asks().await;
    assert_eq!(asked, Ok(vec![b.name.clone(), c.name.clone()]));
    let answers = all(came).await;
    assert_eq!(answers[0], ("b".to_owned(), Ok("question: yes".to_owned())));
    assert_eq!(answers[1].1.as_ref().map(String::len), Ok("question: ".len() + 200_000));
}

#[actix::test]
async fn a_node_that_is_stuck_refuses_what_it_cannot_keep_and_answers_nothing_late() {
    let world = World::new(1, Faults::none());
    let [a, mut b] = world.nodes(["a", "b"]).await;
    b.is_stuck();
    let mut refused = 0;
    // Each command has ended when the next one asks.
    for _ in 0..7 {
        let answers = all(a.asks().await.1).await;
        refused += answers.iter().filter(|answer| answer.1 == Err(Refusal::Busy)).count();
        assert_eq!(answers.len(), refused.min(1));
    }
    // One is being answered, and four wait.
    assert_eq!(refused, 2);
}

#[actix::test]
async fn an_answer_that_is_too_long_is_refused_with_the_limit() {
    let world = World::new(1, Faults::none());
    let [a, mut b] = world.nodes(["a", "b"]).await;
    b.answers("x".repeat(17 << 20));
    let answers = all(a.asks().await.1).await;
    assert!(matches!(answers[0].1, Err(Refusal::TooLong(limit)) if limit > 16_000_000), "{answers:?}");
}

#[actix::test]
async fn more_commands_than_a_few_do_not_ask_at_once() {
    let world = World::new(1, Faults::none());
    let [a, _b] = world.nodes(["a", "b"]).await;
    let mut under_way = Vec::new();
    for _ in 0..4 {
        let (asked, came) = a.asks().await;
        assert!(asked.is_ok());
        under_way.push(came);
    }
    assert_eq!(a.asks().await.0, Err(NotAsked::TooMany));
    under_way.pop();
    assert!(a.asks().await.0.is_ok());
}

#[actix::test]
async fn without_the_broker_nobody_is_asked_and_a_node_without_a_lease_answers_nothing() {
    let world = World::new(1, Faults::none());
    let [a, mut b] = world.nodes(["a", "b"]).await;
    b.answers("yes");
    world.cuts_off(b.client).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(b.asks().await.0, Err(NotAsked::NoBroker));
    let (asked, came) = a.asks().await;
    assert_eq!(asked, Ok(vec![b.name.clone()]), "it is not known to be dead");
    assert_eq!(all(came).await, []);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(a.asks().await.0, Ok(Vec::new()), "it is dead");
    world.rejoins(b.client).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(all(a.asks().await.1).await, [("b".to_owned(), Ok("question: yes".to_owned()))]);
}
