//! Charges that no one script can reach, because a cluster keeps their keys on different nodes.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::RedisClient;
use super::call::{RedisCall, cells};
use crate::rate_limit::gcra::Bucket;
use crate::rate_limit::{Answer, Cell, Charge, Mode, RateLimitError, Subject};

/// The charges of one subject, whose keys have one hash tag. It owns all it needs, so that it can outlive the caller.
pub(super) struct Group {
    call: RedisCall,
    asked: Vec<Asked>,
}

#[derive(Clone, Copy)]
struct Asked {
    /// Where in the whole call.
    place: usize,
    bucket: Bucket,
    cost: u32,
}

/// What a group was answered.
struct Answered {
    call: RedisCall,
    asked: Vec<Asked>,
    cells: Vec<Cell>,
}

/// Divides charges by subject, keeping their order.
pub(super) fn divide(
    charges: &[Charge<'_>],
    call: impl Fn(&[Charge<'_>]) -> RedisCall,
) -> Vec<Group> {
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for charge in charges {
        if !subjects.contains(&charge.subject()) {
            subjects.push(charge.subject());
        }
    }
    let group = |subject| {
        let mine = charges.iter().enumerate();
        let mine = mine.filter(|(_, charge)| charge.subject() == subject);
        let (asked, charges): (Vec<_>, Vec<_>) = mine
            .map(|(place, charge)| {
                let (bucket, cost) = (charge.quota().bucket(), charge.cost());
                let asked = Asked {
                    place,
                    bucket,
                    cost,
                };
                (asked, *charge)
            })
            .unzip();
        Group {
            call: call(&charges),
            asked,
        }
    };
    subjects.into_iter().map(group).collect()
}

/// Runs all groups at the same time; if one does not fit or fails, those that have taken something give it back.
///
/// It runs to its end even if the caller gives up meanwhile: what was taken for a call that is refused is always given back,
/// unless Redis fails or the process ends in between.
pub(super) async fn apply(
    client: Arc<dyn RedisClient>,
    groups: Vec<Group>,
    mode: Mode,
) -> Result<Answer, RateLimitError> {
    let runtime = Handle::try_current().map_err(RateLimitError::unavailable)?;
    let all = runtime.spawn(run_all(client, groups, mode));
    let mut cells = all.await.map_err(RateLimitError::unavailable)??;
    cells.sort_unstable_by_key(|(place, _)| *place);
    Answer::new(cells.into_iter().map(|(_, cell)| cell))
}

async fn run_all(
    client: Arc<dyn RedisClient>,
    groups: Vec<Group>,
    mode: Mode,
) -> Result<Vec<(usize, Cell)>, RateLimitError> {
    let run = |group: Group| tokio::spawn(group.run(Arc::clone(&client), mode));
    let mut answers = join(groups.into_iter().map(run).collect()).await;
    let fits = |answer: &Result<Answered, _>| answer.as_ref().is_ok_and(Answered::fits);
    if mode == Mode::Consume && !answers.iter().all(fits) {
        let (taken, mut others): (Vec<_>, Vec<_>) = answers.into_iter().partition(fits);
        let undo = |answered: Answered| tokio::spawn(answered.undo(Arc::clone(&client)));
        others.extend(join(taken.into_iter().flatten().map(undo).collect()).await);
        answers = others;
    }
    let mut cells = Vec::new();
    for answer in answers {
        let Answered {
            asked, cells: mine, ..
        } = answer?;
        cells.extend(asked.iter().map(|asked| asked.place).zip(mine));
    }
    Ok(cells)
}

async fn join(
    tasks: Vec<JoinHandle<Result<Answered, RateLimitError>>>,
) -> Vec<Result<Answered, RateLimitError>> {
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let answer = task.await.map_err(RateLimitError::unavailable);
        answers.push(answer.and_then(|answer| answer));
    }
    answers
}

impl Group {
    async fn run(
        self,
        client: Arc<dyn RedisClient>,
        mode: Mode,
    ) -> Result<Answered, RateLimitError> {
        let Self { call, asked } = self;
        let numbers = client.eval(&call).await?;
        let cells = cells(each(&asked), mode, &numbers)?.collect();
        Ok(Answered { call, asked, cells })
    }
}

impl Answered {
    fn fits(&self) -> bool {
        self.cells.iter().all(|cell| cell.wait() == 0)
    }

    /// Gives back what was taken, and reports what is owed then. If that fails, what was taken is what is owed.
    async fn undo(self, client: Arc<dyn RedisClient>) -> Result<Self, RateLimitError> {
        let Self {
            call,
            mut asked,
            mut cells,
        } = self;
        let call = call.refund();
        asked.reverse();
        cells.reverse();
        let numbers = client.eval(&call).await;
        let given = numbers.and_then(|numbers| {
            self::cells(each(&asked), Mode::Refund, &numbers).map(Iterator::collect)
        });
        let cells = given.unwrap_or(cells);
        Ok(Self { call, asked, cells })
    }
}

fn each(asked: &[Asked]) -> impl ExactSizeIterator<Item = (Bucket, u32)> {
    asked.iter().map(|asked| (asked.bucket, asked.cost))
}
