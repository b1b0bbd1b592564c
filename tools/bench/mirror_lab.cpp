// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror_lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "link.h"
#include "listener.h"

namespace synward::bench {
namespace {

constexpr auto kStartPatience = std::chrono::seconds(30);
constexpr size_t kSourceOffset = 14 + 12;  // of an Ethernet frame with IPv4

std::string find_daemon(const std::string& given) {
    if (!given.empty()) return given;
    const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    for (const auto& path : {here / "synwardd", here / "../daemon/synwardd"})
        if (access(path.c_str(), X_OK) == 0) return path;
    throw std::runtime_error("no synwardd beside this program; name it with --daemon");
}

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

MirrorLab::MirrorLab(const MirrorLabOptions& options) : interface_(fmt::format("m{}", getpid())) {
    std::string folder = std::filesystem::temp_directory_path() / "synward-bench-XXXXXX";
    if (!mkdtemp(folder.data())) throw std::runtime_error(fmt::format("cannot make {}", folder));
    folder_ = folder;
    try {
        netns_.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        make_veth(outside_, "outside", netns_, interface_);
        netns_.ip(fmt::format("addr add 192.0.2.1/24 dev {}", interface_));
        const auto to = [&] {
            const Netns::Inside inside(netns_);
            return read_link(interface_).mac;
        }();
        const Segment segment{.to = to,
                              .source = {.family = SW_IPV4},
                              .destination = parse_address("192.0.2.1"),
                              .source_port = 40000,
                              .destination_port = 80,
                              .options = usual_layouts().front().options};
        frame_ = compose(segment);
        {
            const Netns::Inside inside(netns_);
            listener_ = listen_on(80);
        }
        start(options);
        find_program();
        // whatever ends us later leaves nothing behind
        std::filesystem::remove_all(folder_);
    } catch (...) {
        stop();
        throw;
    }
}

MirrorLab::~MirrorLab() {
    stop();
}

void MirrorLab::stop() {
    if (daemon_ > 0) {
        kill(daemon_, SIGKILL);
        while (waitpid(daemon_, nullptr, 0) < 0 && errno == EINTR) continue;
        daemon_ = 0;
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void MirrorLab::start(const MirrorLabOptions& options) {
    const std::string config = folder_ + "/synward.toml", log = folder_ + "/log";
    std::ofstream(config) << fmt::format(
        "[daemon]\ninterfaces = [\"{}\"]\ncontrol = \"{}/control\"\n[limits]\nsources = {}\n"
        "[classify]\nsets = [\"{}\"]\nmarker = \"none\"\nrule = \"none\"\n"
        "[[service]]\nname = \"bench\"\nport = [80]\nmode = \"cookie\"\n",
        interface_, folder_, options.sources, options.set);
    const std::string program = find_daemon(options.daemon);
    const Fd output(open(log.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const pid_t parent = getpid();
    const Netns::Inside inside(netns_);
    daemon_ = fork();
    if (daemon_ < 0) throw std::runtime_error(fmt::format("fork: {}", strerror(errno)));
    if (daemon_ == 0) {
        // whatever becomes of us, the daemon goes too
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        dup2(output.get(), 1);
        dup2(output.get(), 2);
        execl(program.c_str(), "synwardd", "-c", config.c_str(), nullptr);
        _exit(127);
    }
}

void MirrorLab::find_program() {
    const Netns::Inside inside(netns_);
    const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
    const auto index = static_cast<int>(if_nametoindex(interface_.c_str()));
    uint32_t id = 0;
    while (bpf_xdp_query_id(index, 0, &id) != 0 || id == 0) {
        if (waitpid(daemon_, nullptr, WNOHANG) == daemon_) {
            daemon_ = 0;
            throw std::runtime_error("synwardd ended: " + text_of(folder_ + "/log"));
        }
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error("synwardd attaches no program: " + text_of(folder_ + "/log"));
        poll(nullptr, 0, 10);
    }
    program_ = Fd(bpf_prog_get_fd_by_id(id));
    if (!program_)
        throw std::runtime_error(fmt::format("cannot open the attached program: {}", strerror(errno)));
}

bool MirrorLab::denied(uint32_t source) const {
    const Netns::Inside inside(netns_);  // where the program looks for the listener
    auto frame = frame_;
    const uint32_t address = htonl(source);
    memcpy(frame.data() + kSourceOffset, &address, sizeof(address));
    std::array<uint8_t, 2048> out{};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .data_size_out = out.size(),
                .repeat = 1);
    if (const int error = bpf_prog_test_run_opts(program_.get(), &run); error != 0)
        throw std::runtime_error(fmt::format("cannot run the attached program: {}", strerror(-error)));
    return run.retval == XDP_DROP;
}

uint64_t MirrorLab::cpu_time() const {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(daemon_, &clock) != 0 || clock_gettime(clock, &time) != 0)
        throw std::runtime_error("synwardd has ended");
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

uint64_t MirrorLab::resident() const {
    std::ifstream file(fmt::format("/proc/{}/statm", daemon_));
    uint64_t size = 0, pages = 0;
    file >> size >> pages;
    return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t MirrorLab::map_memory() const {
    std::array<uint32_t, 64> ids{};
    bpf_prog_info info{};
    info.nr_map_ids = ids.size();
    info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program_.get(), &info, &size) != 0) return 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < std::min<uint32_t>(info.nr_map_ids, ids.size()); ++i) {
        const Fd map(bpf_map_get_fd_by_id(ids[i]));
        if (!map) continue;
        std::ifstream file(fmt::format("/proc/self/fdinfo/{}", map.get()));
        for (std::string word; file >> word;)
            if (uint64_t bytes = 0; word == "memlock:" && file >> bytes) sum += bytes;
    }
    return sum;
}

}  // namespace synward::bench
