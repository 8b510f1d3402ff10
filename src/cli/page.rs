//! What the command line says of itself to shells and to `man`.

use super::{Cli, EXIT_CODES, host, logs, path, probe};
use clap::CommandFactory;

/// The completion script of a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "badgate", &mut out);
    out
}

/// The man page, in roff: the program's page, then a section for each command.
pub fn man() -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    for sub in command.get_subcommands() {
        let name = sub.get_name().to_uppercase();
        out.extend_from_slice(format!(".SH \"COMMAND {name}\"\n").as_bytes());
        if let Some(about) = sub.get_about() {
            out.extend_from_slice(format!("{about}\n.PP\n").as_bytes());
        }
        // The sections of a page of its own, one level down.
        let page = clap_mangen::Man::new(sub.clone());
        let mut sections = Vec::new();
        page.render_synopsis_section(&mut sections)?;
        page.render_options_section(&mut sections)?;
        out.extend_from_slice(String::from_utf8_lossy(&sections).replace(".SH ", ".SS ").as_bytes());
    }
    out.extend_from_slice(b".SH \"EXIT STATUS\"\nOf \\fBbadgate check\\fR:\n");
    for line in EXIT_CODES.lines().skip(1) {
        if let Some((code, what)) = line.trim().split_once("  ") {
            out.extend_from_slice(format!(".TP\n\\fB{code}\\fR\n{what}\n").as_bytes());
        }
    }
    for (command, codes) in
        [("path", path::EXIT_CODES), ("probe", probe::EXIT_CODES), ("host", host::EXIT_CODES)]
    {
        out.extend_from_slice(format!("Of \\fBbadgate {command}\\fR:\n").as_bytes());
        for line in codes.lines().skip(1) {
            if let Some((code, what)) = line.trim().split_once("  ") {
                out.extend_from_slice(format!(".TP\n\\fB{code}\\fR\n{what}\n").as_bytes());
            }
        }
    }
    out.extend_from_slice(b"Of \\fBbadgate logs\\fR:\n");
    for line in logs::EXIT_CODES.lines().skip(1) {
        if let Some((code, what)) = line.trim().split_once("  ") {
            out.extend_from_slice(format!(".TP\n\\fB{code}\\fR\n{what}\n").as_bytes());
        }
    }
    page.render_version_section(&mut out)?;
    Ok(out)
}
