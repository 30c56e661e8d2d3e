//! The stored formats against independently computed vectors.

use super::*;

struct Vector {
    passphrase: &'static str,
    derived_key: &'static str,
    clear: &'static str,
    nonce: &'static str,
    sealed: &'static str,
    hash: &'static str,
    hash_without_encryption: &'static str,
}

const VECTORS: &[Vector] = &[
    Vector {
        passphrase: "correct horse battery staple",
        derived_key: "e915a5811ff452924e6154ae760a7831e636c1b6ca52ed69da451456f5b08e26",
        clear: "sk-test-0123456789abcdefghijklmnop",
        nonce: "000102030405060708090a0b",
        sealed: "b40e9ebb2d52c7775c753903af094e0b2567f1f254062a9966e374c5bf67490873f26cbaa092444f04e36097604c6cc78d01",
        hash: "4071bfaf8fe9b3dac041d5a5ae222138c6832f720278d7b469364021c641680d",
        hash_without_encryption: "9a45518ce0669b481e610468259173e15c47184e6a0847a4673743867f3831fc",
    },
    Vector {
        passphrase: "correct horse battery staple",
        derived_key: "e915a5811ff452924e6154ae760a7831e636c1b6ca52ed69da451456f5b08e26",
        clear: "AIzaSyTestKey-000000000000000000000000",
        nonce: "ffeeddccbbaa998877665544",
        sealed: "8f205084d3ce2f1dc3776301f2b72043f2cf7fce5f0a4cd5be8ccf958de305781f7d599fb618a52a3099554f2602a4788da22b646331",
        hash: "6731a883f813335502ca4de0480920ddaa8f00a0bf603fc9af4334d8a05d276c",
        hash_without_encryption: "bf77492c19037c3fd7903dc207b79b53de570412a30d253c9619788e55675b28",
    },
    Vector {
        passphrase: "\u{5bc6}\u{94a5}-\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}-32-characters-long!!",
        derived_key: "1e8d8d86cdac6c8a6d62d4066f84eea067c353c7f99fea8f7562a5c111c5d6a5",
        clear: "sk-ant-api03-\u{6d4b}\u{8bd5}-key",
        nonce: "a1b2c3d4e5f60718293a4b5c",
        sealed: "597340acd52408b42bb0a80e4eff767cba4803b24b2d9b632be6a824d1b2ef7d69fe535f818c03",
        hash: "38807ebf59d262ee4d33adb2c4f0c3084197e293ca1f742281927abcf0fe1b9e",
        hash_without_encryption: "49828cfbd7642994bbabe5fcaecb260700cc74a4901b9d60c25fccd7f347d071",
    },
    Vector {
        passphrase: "old-key",
        derived_key: "39e676d7248da3e44cd7ceec1a64fd512c01e73ddd951e982b0e966ee796decb",
        clear: "sk-rotate-me-1",
        nonce: "101112131415161718191a1b",
        sealed: "3448f843950b3f5ac56cc7ed630c184422fc6abfc060078724f009275d62",
        hash: "049178800a8414d66d4fe40acdd2e65189d94289eb64a3c3e16f4e397cb6578a",
        hash_without_encryption: "0d2f7b4735ef5f18340805c157d241f909316273c08058dcf5678c6e0d3c1c3c",
    },
    Vector {
        passphrase: "new-32-char-secret-key-0000000000",
        derived_key: "cf5a6157159a4b6175c9f0172c8a015a2356723e4b5e7261221f8b7db0efa9c4",
        clear: "sk-rotate-me-1",
        nonce: "202122232425262728292a2b",
        sealed: "6b36709e99cab99ba96af6b9457ccfe871e3b3636264e2ab9c7e105f3fbc",
        hash: "da92c3b0be2ca0fc46627b7c6dec965dc2bbd89d5a74484451f2b2ad3b654b51",
        hash_without_encryption: "0d2f7b4735ef5f18340805c157d241f909316273c08058dcf5678c6e0d3c1c3c",
    },
    Vector {
        passphrase: "my-encryption-key-0123456789",
        derived_key: "63ec548f982c84cd4abcdef80192e84abad94b068dfe3f9c9d8b143a19a968e5",
        clear: "sk-test-0001",
        nonce: "000102030405060708090a0b",
        sealed: "e69b82e937cce05fc55132c41523428f8c82efc94381dd25b234851f",
        hash: "e6a0005b928c815aa1dd3d771702b8b497bc30dd1db37292762817e5a6bcc550",
        hash_without_encryption: "820b1c7a7f3b9722bca2bdf90fb63c8af91c71bf8e7b399efb0646163b5af643",
    },
];

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn on(passphrase: &str) -> Cipher {
    Cipher::new(Some(&Secret::new(passphrase)))
}

#[test]
fn keys_are_stored_and_found_as_the_original_does() {
    for vector in VECTORS {
        let engine = Engine::new(&bytes(vector.derived_key));
        let stored = format!("{}{}", vector.nonce, vector.sealed);
        assert_eq!(engine.encrypt(vector.clear, bytes(vector.nonce)), stored, "{}", vector.clear);
        assert_eq!(engine.decrypt(&stored).unwrap().expose(), vector.clear);
        assert_eq!(engine.decrypt(&stored.to_uppercase()).unwrap().expose(), vector.clear);
        assert_eq!(Cipher(Some(Arc::new(engine))).hash(vector.clear), vector.hash);
        assert_eq!(Cipher::new(None).hash(vector.clear), vector.hash_without_encryption);
    }
}

#[test]
fn the_key_is_derived_from_the_passphrase_as_given() {
    for vector in VECTORS.iter().skip(1) {
        let cipher = on(vector.passphrase);
        let stored = format!("{}{}", vector.nonce, vector.sealed);
        assert_eq!(cipher.decrypt(&stored).unwrap().expose(), vector.clear);
        assert_eq!(cipher.hash(vector.clear), vector.hash);
    }
}

#[test]
fn what_is_not_ours_is_refused() {
    let vector = &VECTORS[0];
    let cipher = Cipher(Some(Arc::new(Engine::new(&bytes(vector.derived_key)))));
    let stored = format!("{}{}", vector.nonce, vector.sealed);
    let mut last_digit_changed = stored.clone();
    last_digit_changed.replace_range(stored.len() - 1.., "0");
    let first_byte_changed = stored.replacen("00", "01", 1);
    for (text, expected) in [
        (last_digit_changed.as_str(), DecryptError::WrongKeyOrDamaged),
        (first_byte_changed.as_str(), DecryptError::WrongKeyOrDamaged),
        ("zz", DecryptError::NotHexadecimal),
        ("0001", DecryptError::TooShort),
        ("", DecryptError::TooShort),
        (&stored[..24], DecryptError::WrongKeyOrDamaged),
        ("sk-stored-before-encryption-was-on", DecryptError::NotHexadecimal),
    ] {
        assert_eq!(cipher.decrypt(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn each_encryption_has_its_own_nonce() {
    let cipher = on("passphrase");
    let (first, second) = (cipher.encrypt("sk-1"), cipher.encrypt("sk-1"));
    assert_ne!(first, second);
    assert_eq!(cipher.decrypt(&first).unwrap().expose(), cipher.decrypt(&second).unwrap().expose());
    assert_eq!(first.len(), 2 * (28 + "sk-1".len()));
}

#[test]
fn without_a_passphrase_keys_are_stored_as_they_are() {
    let cipher = Cipher::new(None);
    assert!(!cipher.is_on());
    assert_eq!(cipher.encrypt("sk-1"), "sk-1");
    assert_eq!(cipher.decrypt("sk-1").unwrap().expose(), "sk-1");
    assert_eq!(cipher.hash(""), "");
    assert_eq!(on("passphrase").hash(""), "");
    assert!(on("passphrase").is_on());
}

#[test]
fn a_fingerprint_tells_passphrases_apart_and_nothing_else() {
    let fingerprint = on("passphrase").fingerprint();
    assert_eq!(on("passphrase").fingerprint(), fingerprint, "on every node");
    assert_ne!(on("another").fingerprint(), fingerprint);
    assert_ne!(Cipher::new(None).fingerprint(), fingerprint);
    assert!(!fingerprint.contains("passphrase"));
    let vector = &VECTORS[0];
    let derived = on(vector.passphrase).fingerprint();
    assert!(![vector.derived_key, vector.hash].contains(&&*derived), "neither the key nor the hash of one");
}

#[test]
fn a_stored_key_is_told_from_what_it_is_not() {
    let (ours, other, none) = (on("passphrase"), on("another"), Cipher::new(None));
    let (sealed, hash) = (ours.encrypt("sk-1"), ours.hash("sk-1"));
    let in_clear = none.hash("sk-1");
    let kind = |cipher: &Cipher, text: &str, hash: Option<&str>| match cipher.read(text, hash) {
        Reading::Readable(secret) => format!("readable {}", secret.expose()),
        Reading::InClear(secret) => format!("in clear {}", secret.expose()),
        Reading::Foreign => "foreign".to_owned(),
        Reading::Empty => "empty".to_owned(),
    };
    assert_eq!(kind(&ours, &sealed, Some(&hash)), "readable sk-1");
    assert_eq!(kind(&ours, &sealed, None), "readable sk-1");
    assert_eq!(kind(&ours, "sk-1", Some(&in_clear)), "in clear sk-1");
    assert_eq!(kind(&ours, "sk-1", Some("")), "foreign", "nothing shows that it is a key");
    assert_eq!(kind(&other, &sealed, Some(&hash)), "foreign");
    assert_eq!(kind(&none, &sealed, Some(&hash)), "foreign", "a ciphertext is never taken for a key");
    assert_eq!(kind(&none, "sk-1", Some(&in_clear)), "readable sk-1");
    assert_eq!(kind(&none, "sk-1", None), "readable sk-1", "versions before 1.1.0 had no hash");
    assert_eq!(kind(&ours, "", None), "empty");
    assert_eq!(kind(&none, "", Some("")), "empty");
    assert_eq!(kind(&ours, &ours.encrypt(""), None), "empty");
}

#[test]
fn an_encrypted_key_is_recognised_by_its_digits() {
    assert!(looks_encrypted(&on("passphrase").encrypt("k")));
    assert!(looks_encrypted(&on("passphrase").encrypt("").to_uppercase()));
    for text in ["", "0011", "sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"] {
        assert!(!looks_encrypted(text), "{text}");
    }
}
