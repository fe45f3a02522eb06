//! Lists of indexes as text, `0,2-4`: how many there are, or what is wrong in upstream's words. Pure leaf; bounded by the
//! text, never by the numbers in it.

/// How many indexes a list below `completions` names.
pub fn count(text: &str, completions: i64) -> Result<i64, String> {
    let (mut total, mut last): (i64, Option<i64>) = (0, None);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let ends: Vec<&str> = part.split('-').collect();
    match ends.as_slice() {
        [one] => index(one, completions).map(|one| (one, one)),
        [first, last] => {
            let (first, last) = (index(first, completions)?, index(last, completions)?);
            match first < last {
                true => Ok((first, last)),
                false => Err(format!("non-increasing order, previous: {first}, current: {last}")),
            }
        }
        _ => Err(format!(
            "the fragment \"{part}\" violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

fn index(text: &str, completions: i64) -> Result<i64, String> {
    let number: i64 =
        text.parse().map_err(|_| format!("cannot convert string to integer for index: \"{text}\""))?;
    if number >= completions { Err(format!("too large index: \"{text}\"")) } else { Ok(number) }
}
