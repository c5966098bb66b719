//! The arguments of the programs: `--name number` pairs.

use crate::Result;

/// The numbers given for `names`, in their order. Errors: an unknown name, or what is not a whole number.
pub fn numbers<const N: usize>(names: [&str; N]) -> Result<[Option<u64>; N]> {
    parse(std::env::args().skip(1), names)
}

fn parse<const N: usize>(
    mut args: impl Iterator<Item = String>,
    names: [&str; N],
) -> Result<[Option<u64>; N]> {
    let mut numbers = [None; N];
    while let Some(name) = args.next() {
        let place = names.iter().position(|known| name == format!("--{known}"));
        let number = args.next().and_then(|text| text.parse().ok());
        match (place, number) {
            (Some(place), Some(number)) => numbers[place] = Some(number),
            _ => return Err(format!("{name}: not one of --{} NUMBER", names.join(", --")).into()),
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_names_and_numbers() {
        let parse = |line: &str| {
            parse(
                line.split_whitespace().map(str::to_owned),
                ["cases", "seed"],
            )
        };
        assert_eq!(parse("--seed 7 --cases 10").unwrap(), [Some(10), Some(7)]);
        assert_eq!(parse("").unwrap(), [None, None]);
        for wrong in ["--case 1", "--seed", "--seed x", "7"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
