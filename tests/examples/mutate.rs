//! Examines mutated models: no panic, no second of computing, no gigabyte, no place outside its text.
//!
//! A mutant may take longer, up to [`LONGEST_LARGE`], where what it says is large: `repeat 1000 { encoder }` is a model
//! of a hundred megabytes like any other. Such mutants are counted.
//!
//! ```sh
//! cargo run --release -p nnc-tests --example mutate -- [--count 1000000] [--from 0] [--processes 2]
//! cargo run --release -p nnc-tests --example mutate -- --show NUMBER
//! ```
//!
//! Each mutant has a number, which gives the same text every time. They are examined in several processes, so that
//! even an overflowing stack is one finding among others: the mutant at which a process ended, or stood still for a
//! minute, is written to `runs/mutants/` with what was said, and the next process goes on behind it. At the end stands
//! what was counted; the exit code is 1 where there were findings.

#![allow(clippy::print_stdout, reason = "its output is the account")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nnc_tests::allocator::{self, Counting};
use nnc_tests::any_text::examine;
use nnc_tests::corpus::{corpus, shelf};
use nnc_tests::mutation::mutant;
use nnc_tests::thread_time::thread_time;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The longest time that examining a text may take, computed by its thread.
const LONGEST: Duration = Duration::from_secs(1);

/// The longest time that a text may take whose model is large.
const LONGEST_LARGE: Duration = Duration::from_secs(5);

/// A model is large if so many bytes are taken for it.
const LARGE: usize = 32 << 20;

/// The most bytes that examining a text may take.
const MOST: usize = 1 << 30;

/// How long a process may be silent about the mutants that it has begun.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where findings are written.
const FINDINGS: &str = "runs/mutants";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.replace('_', "").parse::<u64>().ok()
    };
    if let Some(number) = value("--show") {
        print!("{}", mutant(&corpus(), number));
        return ExitCode::SUCCESS;
    }
    let (from, count) = (value("--from").unwrap_or(0), value("--count").unwrap_or(1_000_000));
    let processes = value("--processes").unwrap_or(2).max(1);
    if arguments.iter().any(|argument| argument == "--worker") {
        work(from, from + count, value("--step").unwrap_or(1));
        return ExitCode::SUCCESS;
    }
    let mut account = Account::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..processes)
            .map(|place| scope.spawn(move || overseen(from + place, from + count, processes)))
            .collect();
        for worker in workers {
            if let Ok(found) = worker.join() {
                account.add(found);
            }
        }
    });
    account.print();
    if account.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was counted.
#[derive(Default)]
struct Account {
    mutants: u64,
    reads: u64,
    checks: u64,
    milliseconds: u64,
    codes: BTreeMap<String, u64>,
    large: Vec<(u64, u64)>,
    slowest: (u64, u64),
    largest: (u64, u64),
    findings: Vec<(u64, String)>,
}

impl Account {
    fn add(&mut self, other: Account) {
        self.mutants += other.mutants;
        self.reads += other.reads;
        self.checks += other.checks;
        self.milliseconds += other.milliseconds;
        for (code, count) in other.codes {
            *self.codes.entry(code).or_insert(0) += count;
        }
        self.large.extend(other.large);
        self.slowest = self.slowest.max(other.slowest);
        self.largest = self.largest.max(other.largest);
        self.findings.extend(other.findings);
    }

    fn print(&self) {
        println!("{} mutants: {} can be read, {} check", self.mutants, self.reads, self.checks);
        let mean = self.milliseconds as f64 / self.mutants.max(1) as f64;
        println!("{mean:.2} ms each; the slowest, {}, takes {} ms", self.slowest.1, self.slowest.0);
        println!("the largest, {}, takes {:.1} MiB", self.largest.1, self.largest.0 as f64 / 1048576.0);
        let codes: Vec<String> = self.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        let longest = self.large.iter().max().copied().unwrap_or_default();
        println!("{} large models took more than a second, {} ms at most", self.large.len(), longest.0);
        println!("{} codes: {}", self.codes.len(), codes.join(", "));
        println!("{} findings", self.findings.len());
        for (number, what) in &self.findings {
            println!("{number}: {}", what.lines().next().unwrap_or(""));
        }
    }
}

/// Examines every `step`th mutant from `from` to `to`, and says on stdout which is begun and what was found.
fn work(from: u64, to: u64, step: u64) {
    std::panic::set_hook(Box::new(|info| {
        let backtrace = std::backtrace::Backtrace::force_capture().to_string();
        let frames = backtrace.lines().filter(|line| line.contains("nnc")).take(24).collect::<Vec<_>>();
        eprintln!("{info}\n{}", frames.join("\n"));
    }));
    let (corpus, mut out) = (corpus(), std::io::stdout().lock());
    let shelf = shelf(&corpus);
    for number in (from..to).step_by(usize::try_from(step).unwrap_or(1)) {
        let text = mutant(&corpus, number);
        let dims = if number % 16 == 0 { Vec::new() } else { vec![("T".to_owned(), 8), ("S".to_owned(), 6)] };
        let mut say = |line: String| out.write_all(line.as_bytes()).and_then(|()| out.flush());
        let begun = say(format!("begin {number}\n"));
        allocator::forget();
        let (before, begin) = (allocator::taken(), thread_time());
        let said = catch_unwind(AssertUnwindSafe(|| examine(&text, &dims, &shelf)));
        let (time, bytes) = (thread_time() - begin, allocator::most() - before);
        let said = match said {
            Ok(said) => {
                format!("{} {} {}", u8::from(said.reads), u8::from(said.checks()), said.codes.join(" "))
            }
            Err(_) => "panic".to_owned(),
        };
        let ended = say(format!("end {number} {} {bytes} {said}\n", time.as_millis()));
        if begun.and(ended).is_err() {
            return;
        }
    }
}

/// Has mutants examined by a process, and by another one behind a mutant at which it ended.
fn overseen(mut from: u64, to: u64, step: u64) -> Account {
    let mut account = Account::default();
    while from < to {
        let errors = format!("{FINDINGS}/stderr.{}", from % step);
        fs::create_dir_all(FINDINGS).expect("the folder of findings can be made");
        let mut child = worker(from, to, step, &errors);
        let last = listen(&mut child, &mut account, &errors);
        let ended = child.wait().expect("the process was started");
        let Some(open) = last else {
            assert!(ended.success(), "a process ended before its first mutant: {ended}");
            break;
        };
        account.note(open, &format!("{ended}"), &errors);
        from = open + step;
    }
    account
}

fn worker(from: u64, to: u64, step: u64, errors: &str) -> Child {
    let [first, count, step] = [from, to - from, step].map(|number| number.to_string());
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--worker", "--from", &first, "--count", &count, "--step", &step])
        .stdout(Stdio::piped())
        .stderr(emptied(errors))
        .spawn()
        .expect("this program can be started again")
}

/// The file of a process's stderr, emptied and written at its end, wherever that is by then.
fn emptied(path: &str) -> fs::File {
    fs::write(path, "").expect("the findings can be written");
    fs::OpenOptions::new().append(true).open(path).expect("the findings can be written")
}

/// Reads what a process says until it ends or is silent for too long; the mutant that it has begun and not ended.
fn listen(child: &mut Child, account: &mut Account, errors: &str) -> Option<u64> {
    let (send, receive) = mpsc::channel();
    let out = child.stdout.take().expect("its output is read");
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let mut open = None;
    loop {
        match receive.recv_timeout(PATIENCE) {
            Ok(line) => match line.strip_prefix("begin ") {
                Some(number) => open = number.parse().ok(),
                None => {
                    open = None;
                    account.hear(&line, errors);
                }
            },
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().expect("a process that was started can be ended");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let _ = reader.join();
    open
}

impl Account {
    /// Counts `end NUMBER MILLISECONDS BYTES READS CHECKS CODE...`
    fn hear(&mut self, line: &str, errors: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let (mutant, time, bytes) = (number(1), number(2), number(3));
        self.mutants += 1;
        self.milliseconds += time;
        self.slowest = self.slowest.max((time, mutant));
        self.largest = self.largest.max((bytes, mutant));
        if words.get(4) == Some(&"panic") {
            self.note(mutant, "panic", errors);
            return;
        }
        self.reads += number(4);
        self.checks += number(5);
        for code in words.iter().skip(6) {
            *self.codes.entry((*code).to_owned()).or_insert(0) += 1;
        }
        let large = bytes >= LARGE as u64;
        if large && u128::from(time) > LONGEST.as_millis() {
            self.large.push((time, mutant));
        }
        let longest = if large { LONGEST_LARGE } else { LONGEST };
        if u128::from(time) > longest.as_millis() {
            self.note(mutant, &format!("takes {time} ms and {bytes} bytes"), errors);
        }
        if bytes > MOST as u64 {
            self.note(mutant, &format!("takes {bytes} bytes"), errors);
        }
    }

    /// Writes a finding, with what its process wrote to stderr since the last.
    fn note(&mut self, number: u64, what: &str, errors: &str) {
        let said = fs::read_to_string(errors).unwrap_or_default();
        let message = said.lines().find(|line| line.contains("panicked")).unwrap_or("");
        let after = said.lines().skip_while(|line| !line.contains("panicked")).nth(1).unwrap_or("");
        let _ = fs::write(errors, "");
        let what = format!("{what} {message} {after}\n{said}");
        println!("{number}: {}", what.lines().next().unwrap_or(""));
        let text = mutant(&corpus(), number);
        let path = Path::new(FINDINGS).join(format!("{number}.nn"));
        let written = fs::write(&path, text).and_then(|()| fs::write(path.with_extension("txt"), &what));
        written.expect("a finding can be written");
        self.findings.push((number, what));
    }
}
