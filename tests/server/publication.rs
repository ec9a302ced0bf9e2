//! Variables that nobody names in the configuration are neither set nor looked for; these are those whom the
//! configuration does not name, and who have to do with them all the same.

use crate::harness::{Httpd, Mpm, PATIENCE, wait_until};

const RULE: &str = "QS_ClientEventBlockCount 1 60";

fn blocks(httpd: &Httpd, path: &str) {
    httpd.expect(60);
    let client = httpd.client("127.0.0.71");
    assert_eq!(client.get(path).status(), Some(500), "it is counted before it is judged");
    wait_until("the client is blocked", PATIENCE, || client.get("/").is_refused());
    assert_eq!(httpd.client("127.0.0.72").get("/").status(), Some(200));
}

fn a_rewrite_rule_that_makes_up_a_name_is_heard(mpm: Mpm) {
    for flag in ["E", "env"] {
        let rule = format!("RewriteEngine on\nRewriteRule ^/set/(.*)$ - [{flag}=$1:1]");
        let httpd = Httpd::on(mpm).modules(&["rewrite"]).with(RULE).with(&rule).start();
        blocks(&httpd, "/set/QS_Block");
    }
}

fn a_file_in_a_directory_is_heard(mpm: Mpm) {
    let open = "<Directory @ROOT@/htdocs>\nAllowOverride FileInfo\n</Directory>";
    let file = b"SetEnvIf Request_URI ^/block QS_Block\n".to_vec();
    let httpd = Httpd::on(mpm).file(".htaccess", file).with(RULE).with(open).start();
    blocks(&httpd, "/block");
}

fn a_configuration_made_of_parts_is_heard(mpm: Mpm) {
    let parts = "Define event QS_Block\n<IfDefine event>\n\
                 <If \"true\">\nSetEnvIf Request_URI ^/if ${event}\n</If>\n\
                 SetEnvIf Request_URI ^/block ${event}\n</IfDefine>";
    let httpd = Httpd::on(mpm).with(RULE).with(parts).start();
    blocks(&httpd, "/block");
}

on_each_mpm!(
    a_rewrite_rule_that_makes_up_a_name_is_heard,
    a_file_in_a_directory_is_heard,
    a_configuration_made_of_parts_is_heard,
);
