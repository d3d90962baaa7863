# The two doors into the kernel and the way to Rust: long mode, early page tables, the high half, a stack.
#
# PVH (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, paging off, %ebx = physical address of hvm_start_info; the image is
# at its linked physical address. Linux 64-bit boot protocol (Documentation/arch/x86/boot.rst): long mode, identity
# map, %rsi = boot_params; the image may be at any 2 MiB boundary below 4 GiB.
#
# The early tables map the first 4 GiB twice (identity, direct map) and the image at its linked address. They stay as
# they are for the application processors, which come through them too.

.set KERNEL_OFFSET, 0xffffffff80000000
.set PRESENT_WRITE, 0x3
.set LARGE_PAGE, 0x83
.set MSR_EFER, 0xc0000080
.set EFER_LME, 0x100
.set EFER_NXE, 0x800
.set EFER_NXE_BIT, 11
.set CR4_MCE, 0x40
.set CR0_PE_MP_NE_WP_PG, 0x80010023
.set CR4_PAE_PGE, 0xa0
.set SELECTOR_CODE, 0x10
.set SELECTOR_DATA, 0x18

.section .note.pvh, "a", @note
.balign 4
.long 4, 8, 18                          # name and descriptor length, XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.quad pvh_entry32 - KERNEL_OFFSET

.section .text.entry, "ax"
.code32
.global pvh_entry32
pvh_entry32:
    cli
    movl %ebx, %esi
    lgdtl boot_gdt_pointer_low - KERNEL_OFFSET
    movl $CR4_PAE_PGE, %eax
    movl %eax, %cr4
    movl $(pvh_pml4 - KERNEL_OFFSET), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    xorl %edx, %edx
    movl $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl $CR0_PE_MP_NE_WP_PG, %eax
    movl %eax, %cr0
    ljmpl $SELECTOR_CODE, $(pvh_entry64 - KERNEL_OFFSET)

# In: long mode in somebody's identity map, %r8 = physical address of the early tables. Changes %rax, %rcx, %rdx. What is as it must be is not
# written: in a TD the module keeps NXE on and lets nobody write it, and nobody may turn CR4.MCE off.
.macro ENTER_EARLY_TABLES
    movl $MSR_EFER, %ecx
    rdmsr
    btsl $EFER_NXE_BIT, %eax
    jc 9f
    wrmsr
9:  movq %cr4, %rax
    andl $CR4_MCE, %eax
    orl $CR4_PAE_PGE, %eax
    movq %rax, %cr4
    movq %r8, %cr3
    movl $CR0_PE_MP_NE_WP_PG, %eax
    movq %rax, %cr0
.endm

.code64
pvh_entry64:
    movl %esi, %esi                     # the upper half is undefined after the switch
    movl $1, %edi                       # Loader::Pvh
    jmp build_early_tables

.global linux_entry64
linux_entry64:
    cli
    cld
    xorl %edi, %edi                     # Loader::Linux

# In: %edi loader, %rsi its data. All addresses are physical here, hence RIP-relative.
build_early_tables:
    leaq boot_pds(%rip), %rbx
    movl $LARGE_PAGE, %eax
    xorl %ecx, %ecx
1:  movq %rax, (%rbx, %rcx, 8)
    addq $0x200000, %rax
    incl %ecx
    cmpl $2048, %ecx
    jb 1b

    leaq boot_pdpt_low(%rip), %rdx
    leaq PRESENT_WRITE(%rbx), %rax
    movq %rax, (%rdx)
    addq $0x1000, %rax
    movq %rax, 8(%rdx)
    addq $0x1000, %rax
    movq %rax, 16(%rdx)
    addq $0x1000, %rax
    movq %rax, 24(%rdx)

    leaq boot_pml4(%rip), %r8
    leaq PRESENT_WRITE(%rdx), %rax
    movq %rax, (%r8)                    # identity
    movq %rax, 256 * 8(%r8)             # direct map, 0xffff_8000_0000_0000
    leaq boot_pdpt_high(%rip), %rdx
    leaq PRESENT_WRITE(%rdx), %rax
    movq %rax, 511 * 8(%r8)
    leaq boot_pd_image(%rip), %rbx
    leaq PRESENT_WRITE(%rbx), %rax
    movq %rax, 510 * 8(%rdx)            # 0xffff_ffff_8000_0000

    leaq __kernel_start(%rip), %rdx     # where we were loaded
    leaq __kernel_end(%rip), %r9
    leaq LARGE_PAGE(%rdx), %rax
    leaq 8 * 8(%rbx), %rbx              # linked 16 MiB above KERNEL_OFFSET
2:  movq %rax, (%rbx)
    addq $8, %rbx
    addq $0x200000, %rax
    cmpq %r9, %rax
    jb 2b

    movq %rdx, %r10
    ENTER_EARLY_TABLES
    movq %r10, %rdx
    movq $enter_high_half, %rax
    jmp *%rax

# In: %edi loader, %rsi its data, %rdx physical address of the image.
enter_high_half:
    lgdt boot_gdt_pointer(%rip)
    movl $SELECTOR_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    leaq boot_stack_top(%rip), %rsp
    pushq $SELECTOR_CODE
    leaq 3f(%rip), %rax
    pushq %rax
    lretq
3:  xorl %ebp, %ebp                     # the end of every backtrace
    call boot_start
    ud2

.section .rodata.boot, "a"
.balign 8
boot_gdt:
    .quad 0
    .quad 0
    .quad 0x00af9b000000ffff            # 64-bit code
    .quad 0x00cf93000000ffff            # data
boot_gdt_end:
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .quad boot_gdt
.global boot_gdt_pointer_low
boot_gdt_pointer_low:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt - KERNEL_OFFSET

# What PVH needs to reach the code above: the first GiB, identity mapped. Linked, not built: no code runs before it.
.balign 4096
pvh_pml4:
    .quad pvh_pdpt - KERNEL_OFFSET + PRESENT_WRITE
    .fill 511, 8, 0
pvh_pdpt:
    .quad pvh_pd - KERNEL_OFFSET + PRESENT_WRITE
    .fill 511, 8, 0
pvh_pd:
    .set page, 0
    .rept 512
    .quad page + LARGE_PAGE
    .set page, page + 0x200000
    .endr

.section .bss.boot, "aw", @nobits
.balign 4096
.global boot_pml4
boot_pml4:
    .skip 4096
boot_pdpt_low:
    .skip 4096
boot_pdpt_high:
    .skip 4096
boot_pd_image:
    .skip 4096
boot_pds:
    .skip 4 * 4096
.global boot_stack
boot_stack:
    .skip 65536
boot_stack_top:
