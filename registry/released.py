"""The triggers and functions of a freshly installed database, each with all that makes it what it is.

Of a function a digest, of a trigger its function, type, state and arguments. Written by `python -m tools.released`; a
test compares it with what the migrations make.
"""

# ruff: noqa: E501

TRIGGERS = {
    "audit.checkpoint guard_rows": "audit.refuse() 27 A ",
    "audit.checkpoint guard_truncate": "audit.refuse() 34 A ",
    "audit.event guard_rows": "audit.refuse() 27 A ",
    "audit.event guard_truncate": "audit.refuse() 34 A ",
    "audit.private guard_rows": "audit.refuse_unless_erased() 27 A ",
    "audit.private guard_truncate": "audit.refuse() 34 A ",
    "audit.seal guard_rows": "audit.refuse() 27 A ",
    "audit.seal guard_truncate": "audit.refuse() 34 A ",
    "audit.stream guard_truncate": "audit.refuse() 34 A ",
    "registry.aliases a_capture": "audit.capture() 29 A 616c696173000000",
    "registry.aliases b_track": "registry.track_alias() 29 A ",
    "registry.aliases guard_truncate": "audit.refuse() 34 A ",
    "registry.comments a_capture": "audit.capture() 29 A 636f6d6d656e7400757064617465645f6174007465787400",
    "registry.comments guard_truncate": "audit.refuse() 34 A ",
    "registry.grants a_capture": "audit.capture() 29 A 6772616e7400006465736372697074696f6e00",
    "registry.grants guard_truncate": "audit.refuse() 34 A ",
    "registry.model_version_tags a_capture": "audit.capture() 29 A 6d6f64656c5f76657273696f6e5f746167000000",
    "registry.model_version_tags guard_truncate": "audit.refuse() 34 A ",
    "registry.model_versions a_capture": "audit.capture() 29 A 6d6f64656c5f76657273696f6e00757064617465645f6174006465736372697074696f6e00",
    "registry.model_versions b_track": "registry.track_stage() 29 A  1 2 3 13",
    "registry.model_versions guard_truncate": "audit.refuse() 34 A ",
    "registry.principals a_capture": "audit.capture() 29 A 7072696e636970616c00006e616d652c7375626a65637400",
    "registry.principals guard_truncate": "audit.refuse() 34 A ",
    "registry.registered_model_tags a_capture": "audit.capture() 29 A 726567697374657265645f6d6f64656c5f746167000000",
    "registry.registered_model_tags guard_truncate": "audit.refuse() 34 A ",
    "registry.registered_models a_capture": "audit.capture() 29 A 726567697374657265645f6d6f64656c00757064617465645f61742c6c6173745f6e756d626572006465736372697074696f6e00 1 2 3 5 7 8 9",
    "registry.registered_models b_track": "registry.track_name() 21 A  2 8",
    "registry.registered_models guard_truncate": "audit.refuse() 34 A ",
    "registry.tokens a_capture": "audit.capture() 29 A 746f6b656e006c6173745f757365645f61742c646967657374006465736372697074696f6e00",
    "registry.tokens guard_digest": "audit.refuse() 19 A  CREATE TRIGGER guard_digest BEFORE UPDATE ON registry.tokens FOR EACH ROW WHEN ((old.digest IS DISTINCT FROM new.digest)) EXECUTE FUNCTION audit.refuse()",
    "registry.tokens guard_truncate": "audit.refuse() 34 A ",
}

FUNCTIONS = {
    "audit.append(text,text,text,jsonb,jsonb)": "e8169fd8fca6381f3afd82b643eb52b8c4b1f0af48e456136bf98343ab0c0835",
    "audit.capture()": "1c13f811eff885f5215811847c274b1793ecda01741f871ff4f67aae101bb165",
    "audit.erase(bigint,text,text,text)": "12b05149d9a1cb9da27f09613e1a2d908872359442d8342d72ad68e658551201",
    "audit.instant(text)": "1576eb5dfa263b7b004f7fd6aeaa7a01c51ebb8bd1386010885b83e6e02dd51f",
    "audit.may_note(text,text)": "dbf9578d6dda441dfce386460a8ee082c94d0ed8f5ad42c70b6c98949c41eb0a",
    "audit.note(text,jsonb)": "0bd50ffbdf8da07d8847288dfcd2ee2a738e74b6442a7bd834b105443555ef76",
    "audit.open_stream(text)": "625cb6e3f5289d7335272f64e7828f5c7b661bc718ea982e1fee76da0cddf3ae",
    "audit.refuse()": "3e9f884148c000305a9594440bd2f746e54ec980767c34e63f6a79aaa16356ce",
    "audit.refuse_unless_erased()": "a872e740c0d2f400b692fe6fa4a41da46bbf09450e78f1b69045a147e109843b",
    "audit.restore(jsonb)": "6a4b5a2438cf0a1d9c1dc785e43c96ad27aa54553c4883a5c00238d32bda5ed2",
    "audit.to_time(bigint)": "45154531b446c8e834517b2dab744bc528ee6bca53615209ce8e7da63f79b822",
    "audit_guard.command()": "91762ecbdaa7fe7e8b5ddb37866632a89f1a96c8296c52345bc285922b778294",
    "audit_guard.dropped()": "110ca26e2a4ece51a92d8b64b4f765bfb81077602d839798fd5cf38dfb7b9576",
    "audit_guard.is_log(text)": "d0079787dc15443b55ab78a91b32bc87cc995626d4f690a86e4c670b304d19d7",
    "audit_guard.is_whole()": "65c4c588e3c8385acde1cc926433d3fb6ae601c86499c85f3af805a14005dd23",
    "audit_guard.refuse(text,text)": "687e0900db4140b4eb7ae2ff10f5ccc7daa20e656c7b5b9981b1a8e92e8d77ad",
    "audit_guard.rewritten()": "2dd7c811443c5775303e8a6f301e220d2c2abb82d27a7ef97cfc83c564f2d2bb",
    "audit_guard.table_of(oid,oid)": "570e7962768d6e17be06ea782c1abc0be06070c6ffe4f9a84a128d8fc6ecd098",
    "audit_guard.tell(text,text[])": "d19d8d6a4a8a6655540fb4e31a8f38d4bb2e07cebb94cfd38a1f479891cee243",
    "registry.lexemes(text)": "90c921966253ae8b87e821312f027e84f42e412c1c93301697a2bc5f0525ff8a",
    "registry.standing(bytea,text[])": "bb36c797202b2b72648ba03b2f8dafb57a18e3e7643f0e040f581bb7fa894d5a",
    "registry.track_alias()": "bc752ad34e4f7fe3ae02e25b07ab2bf18e466cab34faf0e1c3d5860e55caa677",
    "registry.track_name()": "80a0c764755d9728073785c1279ad3a842c4fbdf76e7dbc2543c35100e69fdce",
    "registry.track_stage()": "2fd0379821403b78c02619af9bb134f19a102b626840a8d05ba351b84ee9dae3",
}
