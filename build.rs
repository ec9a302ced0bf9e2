//! Asks apxs and apr-config where httpd's headers lie, translates them for Rust, compiles the shim, and
//! says how the shared object is linked. `APXS`, `APR_CONFIG` and `APU_CONFIG` name other programs.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    if let Err(message) = build() {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let flags = compiler_flags()?;
    for file in ["include/httpd_api.h", "src/ffi/shim.c"] {
        println!("cargo:rerun-if-changed={file}");
    }

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    bindgen::builder()
        .header("include/httpd_api.h")
        .clang_args(&flags)
        .use_core()
        .prepend_enum_name(false)
        .generate_comments(false)
        .layout_tests(true)
        .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
        .allowlist_function("(ap|apr|qos)_.*")
        .allowlist_type("module|apr_table_entry_t|command_rec|cmd_parms|core_server_config")
        .allowlist_var(
            "ap_server_conf|ap_unixd_config|ap_server_root|ap_conftree|ap_top_module|AP_.*|APR_.*|MODULE_MAGIC_.*|OR_.*|RSRC_.*|ACCESS_CONF|HTTP_.*",
        )
        .allowlist_var("APLOG_.*|MPM_.*|SERVER_.*|REQUEST_.*|OK|DECLINED|DONE|DECLINE_CMD|REMOTE_NAME")
        .generate()
        .map_err(|error| format!("bindgen cannot translate httpd's headers: {error}"))?
        .write_to_file(out.join("bindings.rs"))
        .map_err(|error| format!("cannot write the bindings: {error}"))?;

    let mut shim = cc::Build::new();
    shim.file("src/ffi/shim.c").warnings(true).extra_warnings(true).flag("-Wno-unused-parameter");
    for flag in &flags {
        shim.flag(flag);
    }
    shim.try_compile("qos_shim").map_err(|error| format!("cannot compile the shim: {error}"))?;

    // nodelete: httpd closes and opens a module at each configuration read. Whether a Rust object then
    // really goes depends on accidents of its dependencies; this one always stays, at one address.
    for argument in ["-Wl,-z,nodelete", "-Wl,--as-needed", "-Wl,-soname,mod_qos_rs.so"] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    Ok(())
}

fn compiler_flags() -> Result<Vec<String>, String> {
    let include = ask("APXS", "apxs", &["-q", "INCLUDEDIR"])?;
    let mut flags = vec!["-Iinclude".to_owned(), format!("-I{}", include.trim())];
    // The preprocessor flags matter: with other ones layouts differ.
    for (variable, program) in [("APR_CONFIG", "apr-1-config"), ("APU_CONFIG", "apu-1-config")] {
        let options: &[&str] =
            if variable == "APR_CONFIG" { &["--cppflags", "--includes"] } else { &["--includes"] };
        flags.extend(ask(variable, program, options)?.split_whitespace().map(str::to_owned));
    }
    Ok(flags)
}

fn ask(variable: &str, default: &str, arguments: &[&str]) -> Result<String, String> {
    println!("cargo:rerun-if-env-changed={variable}");
    let program = env::var(variable).unwrap_or_else(|_| default.to_owned());
    let output = Command::new(&program).args(arguments).output().map_err(|error| {
        format!("cannot run {program}: {error}; install apache2-dev, or set {variable}")
    })?;
    if !output.status.success() {
        return Err(format!("{program} {} failed", arguments.join(" ")));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{program} answered with other than text"))
}
