//! Which build of the library this image is. Any thread.
//!
//! The linker makes an identifier from all that it puts into the library, and writes it into a note at the beginning of the
//! file (`--build-id`, see `build.rs`). The loader maps that part of the file as it is.

/// Each ELF file is mapped in whole pages, and the notes are in the first one.
const PAGE: usize = 4096;

/// The head of the note: the lengths of name and identifier, the type `NT_GNU_BUILD_ID`, and the name.
const HEAD: &[u8; 16] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
const LENGTH: usize = 20;

extern "C" {
    /// The linker defines it: the first byte of this image.
    static __ehdr_start: [u8; PAGE];
}

/// The identifier of this build in hexadecimal digits, as the file has it in its first 4096 bytes. `None` if the library was
/// linked without one.
pub fn build() -> Option<String> {
    // SAFETY: the image begins with a page that is mapped for as long as the image, and that nobody writes.
    let page = unsafe { &__ehdr_start };
    let id = find(page)?;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn find(page: &[u8]) -> Option<&[u8]> {
    let note = |window: &&[u8]| window.starts_with(HEAD);
    Some(&page.windows(HEAD.len() + LENGTH).find(note)?[HEAD.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_that_of_the_file() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let id = find(&file[..PAGE]).expect("tests are linked with an identifier");
        let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(build(), Some(digits));
    }

    #[test]
    fn a_file_without_a_note_has_no_identifier() {
        assert_eq!(find(&[0; PAGE]), None);
        // Cut short.
        assert_eq!(find(&[&HEAD[..], &[7; LENGTH - 1]].concat()), None);
        assert_eq!(
            find(&[&[1], &HEAD[..], &[7; LENGTH]].concat()),
            Some(&[7; LENGTH][..])
        );
    }
}
