//! Shows what the node does in a terminal, until the operator ends it.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use crossterm::terminal;
use status::report::{Seconds, Time};

use super::{
    Arguments,
    now::Now,
    parts::Part,
    reading::Reading,
    view::{self, Choice, Message},
};
use crate::{
    screen::{self, AlternateScreen, Style, Terminal, keyboard::Key},
    text::time::Clock,
};

/// Shows the node until the operator quits. Returns what is printed then: nothing.
///
/// # Errors
/// The node cannot be reached at the beginning, or the terminal cannot be used.
pub(super) fn show(arguments: &Arguments) -> Result<String, String> {
    let socket = arguments.node.socket()?;
    let first = Reading::take(&socket, arguments.limit)?;
    let terminal = |error: io::Error| format!("cannot use the terminal: {error}");
    let stop = screen::stop_signals().map_err(terminal)?;
    let (mut screen, keys) = Terminal::find().and_then(AlternateScreen::enter).map_err(terminal)?;
    let (wake, woken) = sync_channel(1);
    let (sender, readings) = sync_channel(1);
    let (every, limit) = (arguments.every, arguments.limit);
    // The thread ends with the process: it may wait for an answer of the node.
    thread::spawn(move || read(&socket, limit, every, &sender, &woken));
    let mut model = Model::new(first, every);
    let ended = run(&mut model, &Events { readings, stop, keys, wake }, &mut screen);
    drop(screen);
    match ended {
        Ok(()) => Ok(String::new()),
        // There is no terminal to show an error on.
        Err(_) if !io::stdout().is_terminal() => Ok(String::new()),
        Err(error) => Err(terminal(error)),
    }
}

/// Reads the node again and again, after `every` or when it is woken.
fn read(
    socket: &Path,
    limit: usize,
    every: Duration,
    readings: &SyncSender<Result<Reading, String>>,
    woken: &Receiver<()>,
) {
    // The first rates come soon.
    let mut pause = every.min(FIRST);
    while let Ok(()) | Err(RecvTimeoutError::Timeout) = woken.recv_timeout(pause) {
        pause = every;
        if readings.send(Reading::take(socket, limit)).is_err() {
            return;
        }
    }
}

/// Events that change the view or end it.
struct Events {
    readings: Receiver<Result<Reading, String>>,
    stop: Receiver<()>,
    keys: Receiver<Key>,
    wake: SyncSender<()>,
}

/// Draws until there is a reason to end the view.
fn run(model: &mut Model, events: &Events, screen: &mut AlternateScreen) -> io::Result<()> {
    loop {
        while let Ok(reading) = events.readings.try_recv() {
            model.add(reading);
        }
        let (width, height) = terminal::size()?;
        let size = (usize::from(width), usize::from(height));
        let messages = model.messages();
        screen.draw(&view::screen(&model.now, &mut model.choice, &messages, size))?;
        if events.stop.try_recv().is_ok() {
            return Ok(());
        }
        match events.keys.recv_timeout(REDRAW) {
            // The thread of the keyboard sends an event before it ends.
            Ok(Key::Quit | Key::Closed) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(Key::Char(' ')) => {
                // Full: it is going to read anyway.
                let _ = events.wake.try_send(());
            }
            Ok(key) => model.press(key, size.1),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What is known about the node, and what the operator wants to see.
struct Model {
    last: Reading,
    now: Now,
    every: Duration,
    choice: Choice,
    /// Why there is no answer, and since when.
    trouble: Option<(String, Instant)>,
    /// The node was restarted while it was shown: when the view noticed.
    restarted: Option<Instant>,
}

impl Model {
    fn new(first: Reading, every: Duration) -> Self {
        let mut now = Now::between(None, &first);
        let choice = Choice::default();
        now.sort(choice.sort);
        Self { last: first, now, every, choice, trouble: None, restarted: None }
    }

    /// Adds a reading, or the reason why there is none.
    fn add(&mut self, reading: Result<Reading, String>) {
        match reading {
            Ok(reading) => {
                if reading.started != self.last.started {
                    self.restarted = Some(clock::now());
                }
                self.trouble = None;
                self.now = Now::between(Some(&self.last), &reading);
                self.now.sort(self.choice.sort);
                self.last = reading;
            }
            Err(why) => {
                let since = self.trouble.take().map_or_else(clock::now, |(_, since)| since);
                self.trouble = Some((why, since));
            }
        }
    }

    fn press(&mut self, key: Key, height: usize) {
        let page = height.saturating_sub(ROWS_AROUND).max(1);
        let Choice { part, above, sort } = &mut self.choice;
        match key {
            Key::Char('0' | 'a') => (*part, *above) = (None, 0),
            Key::Char(digit @ '1'..='5') => {
                let at = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                (*part, *above) = (Part::ALL.get(at).copied(), 0);
            }
            Key::Tab => {
                let at = part.and_then(|part| Part::ALL.iter().position(|known| *known == part));
                (*part, *above) = (Part::ALL.get(at.map_or(0, |at| at + 1)).copied(), 0);
            }
            Key::Char('s') => {
                *sort = sort.next();
                self.now.sort(*sort);
            }
            Key::Up | Key::Char('k') => *above = above.saturating_sub(1),
            Key::Down | Key::Char('j') => *above = above.saturating_add(1),
            Key::PageUp => *above = above.saturating_sub(page),
            Key::PageDown => *above = above.saturating_add(page),
            Key::Char(_) | Key::Quit | Key::Closed => {}
        }
    }

    /// What the operator has to know beside the figures.
    fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        if let Some((why, since)) = &self.trouble {
            let every = humantime::format_duration(self.every);
            let text = format!(
                "no answer for {}: {why} (the figures are those of {}; trying again every {every})",
                Seconds::since(*since),
                Clock::new(Time::now()).time(self.last.time)
            );
            messages.push(Message { text, style: Style::Alarm });
        }
        if self.restarted.is_some_and(|noticed| clock::since(noticed) < RESTART_SHOWN) {
            let at = Clock::new(Time::now()).time(self.last.started);
            messages.push(Message { text: format!("the node was restarted at {at}"), style: Style::Warning });
        }
        let notes = view::notes(&self.now).into_iter();
        messages.extend(notes.map(|text| Message { text, style: Style::Dim }));
        messages
    }
}

/// The longest time from the first reading to the second one.
const FIRST: Duration = Duration::from_secs(1);

/// Interval between two drawings. Times that pass and the size of the terminal change between readings.
const REDRAW: Duration = Duration::from_millis(200);

/// The time for which a restart is shown.
const RESTART_SHOWN: Duration = Duration::from_secs(60);

/// Rows of the screen that are no entries: title, empty row, header, keys.
const ROWS_AROUND: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::now::{Sort, tests::reading};

    fn model() -> (Model, Instant) {
        let origin = clock::now();
        (Model::new(reading(2, origin), Duration::from_secs(2)), origin)
    }

    #[test]
    fn a_node_that_does_not_answer_keeps_its_figures_until_it_answers_again() {
        let (mut model, origin) = model();
        model.add(Ok(reading(4, origin)));
        model.add(Err("no node is running".to_owned()));
        let messages = model.messages();
        assert!(messages[0].text.contains("no node is running (the figures are those of "), "{messages:?}");
        assert_eq!(model.now.mailboxes[0].rate, Some(50.0));
        model.add(Ok(reading(6, origin)));
        assert!(model.messages().is_empty());
        assert_eq!(model.now.mailboxes[0].rate, Some(50.0), "the rate of the whole time");
    }

    #[test]
    fn a_restart_is_shown_and_is_no_burst() {
        let (mut model, origin) = model();
        let started = Time(model.last.started.0 + Duration::from_secs(3));
        model.add(Err("no node is running".to_owned()));
        model.add(Ok(Reading { started, ..reading(4, origin) }));
        let messages = model.messages();
        assert!(messages[0].text.starts_with("the node was restarted at "), "{messages:?}");
        assert_eq!((messages.len(), model.now.mailboxes[0].rate), (1, None));
    }

    #[test]
    fn keys_choose_the_part_and_the_order() {
        let (mut model, _) = model();
        let mut pressed = |key| {
            model.press(key, 24);
            (model.choice.part, model.choice.above)
        };
        assert_eq!(pressed(Key::Char('3')), (Some(Part::Links), 0));
        assert_eq!(pressed(Key::PageDown), (Some(Part::Links), 20));
        assert_eq!(pressed(Key::Up), (Some(Part::Links), 19));
        assert_eq!(pressed(Key::Tab), (Some(Part::Waiting), 0));
        assert_eq!(pressed(Key::Tab), (Some(Part::Failing), 0));
        assert_eq!(pressed(Key::Tab), (None, 0));
        assert_eq!(pressed(Key::Tab), (Some(Part::Mailboxes), 0));
        assert_eq!(pressed(Key::Char('0')), (None, 0));
        let (mut model, _) = self::model();
        let orders = [(); 3].map(|()| {
            model.press(Key::Char('s'), 24);
            model.choice.sort
        });
        assert_eq!(orders, [Sort::Waiting, Sort::Name, Sort::Busiest]);
    }
}
