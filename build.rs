//! Link options.

fn main() {
    // Threads outlive any `dlclose` Tarantool may do on a reload of the functions, so the loaded image must
    // never be unmapped (DF_1_NODELETE, the link-time form of RTLD_NODELETE).
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // Unit tests are executables outside Tarantool, whose symbols do not exist there. They may be linked all
    // the same, because no test calls one; a call would end the test at once.
    println!("cargo:rustc-link-arg=-Wl,--unresolved-symbols=ignore-all,-z,lazy");
    println!("cargo:rerun-if-changed=build.rs");
}
