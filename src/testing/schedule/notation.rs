//! Schedules as text.

use std::fmt;
use std::str::FromStr;

/// How many tasks have a letter.
pub(super) const TASKS: usize = 26;

/// An order of events, as text: `A B A` polls the first task, the second, the
/// first.
///
/// A small letter drops the task, and a number is what a
/// [`Choice`](super::Choice) picked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Schedule(pub(super) Vec<Step>);

/// What happens next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Poll(usize),
    Drop(usize),
    Pick(usize),
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            match step {
                Step::Poll(task) => write!(f, "{space}{}", letter(b'A', *task))?,
                Step::Drop(task) => write!(f, "{space}{}", letter(b'a', *task))?,
                Step::Pick(number) => write!(f, "{space}{number}")?,
            }
        }
        Ok(())
    }
}

/// The name of a task.
pub(super) fn letter(first: u8, task: usize) -> char {
    debug_assert!(task < TASKS);
    char::from(first + task as u8)
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        text.split_ascii_whitespace()
            .map(|word| match word.as_bytes() {
                [letter @ b'A'..=b'Z'] => Ok(Step::Poll(usize::from(letter - b'A'))),
                [letter @ b'a'..=b'z'] => Ok(Step::Drop(usize::from(letter - b'a'))),
                _ => word.parse().map(Step::Pick).map_err(|_| ParseScheduleError(())),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The text is no [`Schedule`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a schedule is letters and numbers with spaces between them")]
pub struct ParseScheduleError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_read_as_it_is_written() {
        let text = "A B a 12 Z z 0";
        assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        assert_eq!("".parse(), Ok(Schedule::default()));
        for wrong in ["AB", "-1", "é", "A,B"] {
            assert_eq!(wrong.parse::<Schedule>(), Err(ParseScheduleError(())), "{wrong}");
        }
    }
}
