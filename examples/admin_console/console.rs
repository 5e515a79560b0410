//! Commands from a terminal.

use std::error::Error;
use std::io::Write as _;

use keyward::audit::JsonLinesSink;
use keyward::second_factor::FactorCode;
use keyward::service::Review;
use keyward::store::{ListKeys, SqliteStore};
use keyward::time::SystemClock;

use crate::desk::{Desk, wanted, with_causes};

const HELP: &str = "\
enrol                        shows the URI for an authenticator app
confirm CODE                 confirms it by its first code
recovery CODE                replaces the recovery codes
issue CODE ROLE WHY…         issues a key of the role `admin` or `mailer`
admins                       lists the keys that can manage keys
revoke ID WHY…               revokes a key
quit";

pub(crate) async fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let pepper = std::env::var("KEYWARD_PEPPER").map_err(|_| "KEYWARD_PEPPER is not set")?;
    let path = std::env::var("KEYWARD_DB").unwrap_or_else(|_| "keyward.sqlite".to_owned());
    let trail = JsonLinesSink::open(format!("{path}.console.jsonl")).await?;
    let store = SqliteStore::open(&path).await?;
    let desk = Desk::open(name, store, trail, pepper, SystemClock::new()).await?;
    println!("{HELP}");
    loop {
        print!("{}> ", desk.admin.reference());
        std::io::stdout().flush()?;
        // The service's own tasks go on meanwhile.
        let read = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose());
        let Some(line) = read.await?? else {
            break;
        };
        if line.trim() == "quit" {
            break;
        }
        if let Err(error) = obey(&desk, line.trim()).await {
            println!("{}", with_causes(&*error));
        }
    }
    Ok(desk.service.shutdown().await?)
}

async fn obey(desk: &Desk, line: &str) -> Result<(), Box<dyn Error>> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    let me = desk.admin.reference();
    match command {
        "enrol" => println!("{}", desk.enrol().await?),
        "confirm" => show(desk.confirm(rest).await?.expose()),
        "recovery" => {
            let code = FactorCode::new(rest);
            let codes = desk.enrolments().renew_recovery_codes(me, &code).await?;
            show(codes.expose());
        }
        "issue" => issue(desk, rest).await?,
        "admins" => {
            let page = desk
                .service
                .review(&desk.admin, &Review::AdminKeys, ListKeys::new());
            for record in page.await?.records {
                let why = record.justification.as_deref().unwrap_or("-");
                println!("{} {} ({why})", record.id, record.created_by);
            }
        }
        "revoke" => {
            let (id, why) = rest.split_once(' ').unwrap_or((rest, ""));
            drop(desk.service.revoke(&desk.admin, &id.parse()?, why).await?);
            println!("revoked");
        }
        "" => {}
        _ => println!("{HELP}"),
    }
    Ok(())
}

async fn issue(desk: &Desk, rest: &str) -> Result<(), Box<dyn Error>> {
    let mut words = rest.splitn(3, ' ');
    let (code, role) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let request = wanted(role, words.next().unwrap_or(""))?;
    let issued = desk.issue(Some(code), request).await?;
    println!("shown this once: {}", issued.key().expose());
    Ok(())
}

fn show<'a>(codes: impl Iterator<Item = &'a str>) {
    println!("recovery codes, shown this once; each works once:");
    for code in codes {
        println!("  {code}");
    }
}
