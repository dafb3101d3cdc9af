//! `--weight-budget SIZE`: networks larger than the memory for weights.

use nnc::Request;

/// How many bytes of weights may be on the device at a time.
#[derive(Debug, clap::Args)]
pub(crate) struct BudgetArguments {
    /// The most weights on the device at a time, such as `512MiB`: they come when they are needed and go again. For a
    /// model's file; an artifact is built with it.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    weight_budget: Option<u64>,
}

impl BudgetArguments {
    /// The request with this budget.
    pub(crate) fn apply(&self, request: Request) -> Request {
        Request { weight_budget: self.weight_budget, ..request }
    }

    /// The argument, if it was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        self.weight_budget.map(|_| "--weight-budget")
    }
}

/// A number of bytes: `512MiB`, `3 GiB`, `4096`.
fn bytes(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is no size; write bytes, or a whole number of `KiB`, `MiB` or `GiB`");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim_start() {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(refused()),
    };
    let number: u64 = text[..digits].parse().map_err(|_| refused())?;
    number.checked_mul(1 << shift).ok_or_else(refused)
}
