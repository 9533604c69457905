#include <CLI/CLI.hpp>

#include <iostream>

#include <etcdpp/backend/errc.h>

#include "dump.h"

namespace {

using namespace etcdpp;

constexpr int kDamage = 1;
constexpr int kCannot = 2;

constexpr const char* kAbout =
    "Shows what is in a member's database. Reads only: it writes nothing, takes no lock, and may be used on the\n"
    "directory of a running member (rows may then be of different commits, seconds apart).";
constexpr const char* kExamples =
    "PATH is a data directory, or the file member/etcdpp/data.lmdb in it.\n"
    "\n"
    "Examples:\n"
    "  mvccdump meta default.etcd                          ids, index, sizes; is the file whole?\n"
    "  mvccdump revisions --from 100 --to 120 default.etcd the history, change by change\n"
    "  mvccdump revisions --key foo default.etcd           what happened to one key\n"
    "  mvccdump keys --prefix /registry/pods/ default.etcd lives of keys: created, modified, deleted\n"
    "  mvccdump hash --rev 120 default.etcd                compare with etcdctl endpoint hashkv --rev 120\n"
    "  mvccdump buckets -o json default.etcd               every row, one JSON object a line\n"
    "\n"
    "Exit code: 0 all rows are whole, 1 damage was found, 2 the database could not be read.";

int finish(const base::Result<mvccdump::Findings>& done) {
  std::cout.flush();
  if (!done) {
    std::cerr << "mvccdump: " << base::printable(done.error().message()) << '\n';
    return done.error().code == backend::Errc::kDamaged ? kDamage : kCannot;
  }
  if (done->clean()) return 0;
  std::cerr << "mvccdump: " << done->bad_checksums << " rows with a wrong checksum, " << done->undecodable
            << " that cannot be decoded\n";
  return kDamage;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  CLI::App app(kAbout, "mvccdump");
  app.footer(kExamples);
  app.require_subcommand(1);

  std::string path, output = "text", bucket, key, prefix;
  std::int64_t revision = 0;
  mvccdump::RevisionFilter filter;
  auto command = [&](const char* name, const char* about) {
    CLI::App* sub = app.add_subcommand(name, about);
    sub->add_option("-o,--output", output, "text or json (one object a line, bytes in hexadecimal)")
        ->check(CLI::IsMember({"text", "json"}));
    sub->add_option("PATH", path, "data directory or database file")->required();
    return sub;
  };
  CLI::App* buckets = command("buckets", "every row of every bucket");
  buckets->add_option("--bucket", bucket, "only this one");
  CLI::App* revisions = command("revisions", "every change of every key, oldest first");
  revisions->add_option("--from", filter.from, "first main revision");
  revisions->add_option("--to", filter.to, "last main revision");
  CLI::Option* one_key = revisions->add_option("--key", key, "only this key");
  CLI::App* keys = command("keys", "every key with its generations");
  keys->add_option("--prefix", prefix, "only keys that begin so");
  CLI::App* meta = command("meta", "what the database says of itself, verified");
  CLI::App* hash = command("hash", "HashKV and Maintenance.Hash");
  hash->add_option("--rev", revision, "revision of HashKV (0: the current one)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kCannot;
  }

  std::optional<backend::Bucket> only;
  if (!bucket.empty() && !(only = backend::bucket_named(bucket))) {
    std::cerr << "mvccdump: no bucket is called " << base::printable(bucket) << '\n';
    return kCannot;
  }
  if (one_key->count() > 0) filter.key = key;
  const auto format = output == "json" ? mvccdump::Format::kJson : mvccdump::Format::kText;

  const auto file = mvccdump::find_database(base::posix_env(), path);
  if (!file) return finish(base::Error(file.error()));
  const auto database = backend::DatabaseFile::open(base::posix_env(), *file);
  if (!database) return finish(base::Error(database.error()));
  if (buckets->parsed()) return finish(mvccdump::dump_buckets(**database, format, only, std::cout));
  if (revisions->parsed()) return finish(mvccdump::dump_revisions(**database, format, filter, std::cout));
  if (keys->parsed()) return finish(mvccdump::dump_keys(**database, format, prefix, std::cout));
  if (meta->parsed()) return finish(mvccdump::dump_meta(**database, format, std::cout));
  if (hash->parsed()) return finish(mvccdump::dump_hash(**database, format, revision, std::cout));
  return kCannot;
}
