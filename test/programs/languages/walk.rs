// Rust, moved while it computes: walk FOLDER ROUNDS, as the programs of test/programs/kinds.
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let rounds: usize = words[2].parse().unwrap();
    let counts = Arc::new(Mutex::new(HashMap::new()));
    let (send, receive) = mpsc::channel::<u64>();
    for worker in 0..8u64 {
        let (counts, send) = (Arc::clone(&counts), send.clone());
        thread::spawn(move || loop {
            let sum: u64 = (0..10_000u64).map(|n| n * n % (worker + 7)).sum();
            let mut counts = counts.lock().unwrap();
            let known = *counts.entry(worker).or_insert(sum);
            send.send(u64::from(known != sum)).unwrap();
            drop(counts);
            thread::sleep(Duration::from_millis(2));
        });
    }
    println!("ready");
    for round in 1..=rounds {
        let go: PathBuf = [words[1].as_str(), &format!("go-{round}")].iter().collect();
        while !go.exists() {
            let wrong: u64 = (0..50).map(|_| receive.recv().unwrap()).sum();
            if wrong > 0 {
                println!("not so: a sum has changed");
                std::process::exit(1);
            }
        }
        let wrong: u64 = (0..200).map(|_| receive.recv().unwrap()).sum();
        println!("{}", if wrong == 0 { format!("round {round} ok") } else { "not so: a sum has changed".into() });
    }
    println!("done");
    std::process::exit(7);
}
